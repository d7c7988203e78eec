import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { Secret } from '../../adapters/contract/index.ts'
import { open, type Pkcs11Options } from '../../adapters/pkcs11/index.ts'
import { isRunning } from '../bench/process-tree.ts'
import { context, ref, until } from './support/harness.ts'
import { MODULE, softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()

beforeAll(() => {
  hsm.initToken('ekm')
  hsm.initToken('other')
  onToken('ekm', (objects) => objects.aes('aes'))
})
afterAll(() => hsm.remove())

const refusal = async (more: Partial<Pkcs11Options>) => {
  const outcome = await open(hsm.options('ekm', { sessions: 1, ...more }), () => undefined).then(
    async (adapter) => adapter.close(),
    (error: unknown) => error,
  )
  expect(outcome).toMatchObject({ name: 'OperatorError' })
  return outcome as { readonly code: string; readonly message: string }
}

/** SoftHSM's module with another processor in its ELF header. */
function foreignModule(): string {
  const path = join(hsm.directory, 'foreign.so')
  const bytes = readFileSync(MODULE)
  bytes.writeUInt16LE(process.arch === 'x64' ? 183 : 62, 18)
  writeFileSync(path, bytes)
  return path
}

/** SoftHSM's module as a file that every user can change. */
function openModule(): string {
  const path = join(hsm.directory, 'open.so')
  writeFileSync(path, readFileSync(MODULE))
  chmodSync(path, 0o777)
  return path
}

describe('opening the PKCS#11 adapter reports a wrong setting:', () => {
  it('pkcs11js is not installed', async () => {
    const blocker = fileURLToPath(new URL('support/without-pkcs11js.mjs', import.meta.url))
    vi.stubEnv('NODE_OPTIONS', `--import ${blocker}`)
    try {
      const { code, message } = await refusal({})
      expect(code).toBe('PKCS11JS_MISSING')
      expect(message).toContain('npm install pkcs11js')
    } finally {
      vi.unstubAllEnvs()
    }
  })

  it.each([
    { what: 'it is not there', module: () => '/usr/lib/no-such-module.so', code: 'MODULE_MISSING', says: 'install' },
    { what: 'it is a directory', module: () => '/usr/lib', code: 'MODULE_UNUSABLE', says: 'shared library' },
    {
      what: 'it is no library',
      module: () => fileURLToPath(import.meta.url),
      code: 'MODULE_UNUSABLE',
      says: 'shared library',
    },
    { what: 'every user can change it', module: openModule, code: 'FILE_UNTRUSTED', says: 'run chmod o-w ' },
    { what: 'it is for another processor', module: foreignModule, code: 'MODULE_ARCHITECTURE', says: process.arch },
    {
      what: 'it is a library without PKCS#11',
      module: () => fileURLToPath(new URL('../../node_modules/pkcs11js/build/Release/pkcs11.node', import.meta.url)),
      code: 'MODULE_UNUSABLE',
      says: 'cannot be loaded',
    },
  ])('the module cannot be used: $what', async ({ module, code, says }) => {
    const error = await refusal({ module: module() })
    expect(error.code).toBe(code)
    expect(error.message).toContain(says)
  })

  it('the token is not there, and which tokens are', async () => {
    const { code, message } = await refusal({ token: { label: 'absent' } })
    expect(code).toBe('TOKEN_NOT_FOUND')
    expect(message).toContain('"ekm"')
    expect(message).toContain('"other"')
  })

  it('the PIN is wrong, without repeating it', async () => {
    const { code, message } = await refusal({ pin: new Secret(Buffer.from('8675309')) })
    expect(code).toBe('LOGIN_REFUSED')
    expect(message).toContain('CKR_PIN_INCORRECT')
    expect(message).not.toContain('8675309')
  })

  it.each([
    { sessions: 0 },
    { sessions: 65 },
    { sessions: 1.5 },
    { token: {} },
    { token: { slot: 'first' } },
    { callTimeoutMs: 10 },
  ] satisfies Partial<Pkcs11Options>[])('an invalid option: %j', async (more) => {
    expect((await refusal(more)).code).toBe('PKCS11_OPTION_INVALID')
  })
})

describe('a token is found', () => {
  it('by serial and by slot, in decimal, hexadecimal or as a bigint', async () => {
    const adapter = await open(hsm.options('ekm', { sessions: 1 }), () => undefined)
    const { serial, slot } = adapter.token
    await adapter.close()
    for (const token of [{ serial }, { slot }, { slot: `${slot}` }, { slot: `0x${slot.toString(16)}`, label: 'ekm' }]) {
      const found = await open(hsm.options('ekm', { token, sessions: 1 }), () => undefined)
      expect(found.token.label).toBe('ekm')
      await found.close()
    }
    expect((await refusal({ token: { slot, label: 'other' } })).code).toBe('TOKEN_NOT_FOUND')
  })

  it('by its label, unless two have it, which the error names', async () => {
    const other = await open(hsm.options('other', { sessions: 1 }), () => undefined)
    const { serial } = other.token
    await other.close()
    hsm.initSecond('other')
    const { code, message } = await refusal({ token: { label: 'other' } })
    expect(code).toBe('TOKEN_AMBIGUOUS')
    expect(message).toContain(serial)
  })
})

describe('the number of hosts', () => {
  it('is the number of sessions', async () => {
    const adapter = await open(hsm.options('ekm', { sessions: 3 }), () => undefined)
    await until('three hosts serve', () => adapter.hosts.length === 3)
    expect((await adapter.describe(ref('aes'), context())).kty).toBe('oct')
    const hosts = [...adapter.hosts]
    await adapter.close()
    await until('they have ended', () => hosts.every((pid) => !isRunning(pid)))
  })
})
