import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { OperatorError } from '../../adapters/contract/index.ts'
import { stretch } from '../../adapters/software/passphrase.ts'
import { KeyStore } from '../../adapters/software/store.ts'
import type { StoredKey } from '../../adapters/software/stored-key.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { octKey, PASSPHRASE, quickCost, secret, temporaryStore, type TemporaryStore } from './fixtures.ts'
import { operatorError } from './operator-error.ts'

/** A group id that no process of the tests has. */
const FOREIGN_GROUP = 54_321

describe('a key file', () => {
  let temporary: TemporaryStore
  let store: KeyStore
  const path = (file: string) => join(temporary.directory, file)

  beforeEach(async () => {
    temporary = await temporaryStore()
    store = temporary.store
  })
  afterEach(() => temporary.remove())

  /** The store's key, derived here from the header, so that a test can write files that only the store can write. */
  async function storeKey() {
    const header = JSON.parse(await readFile(path('store.json'), 'utf8')) as { scrypt: { salt: string } }
    return stretch(temporary.passphrase, Buffer.from(header.scrypt.salt, 'base64url'), quickCost)
  }

  it('is a compact JWE of a JWK, and the header names the key', async () => {
    await store.add(octKey('payroll'))
    const text = await readFile(path('payroll.jwe'), 'utf8')
    expect(decodeProtectedHeader(text.trim())).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'payroll', cty: 'jwk+json' })
    const { plaintext } = await compactDecrypt(text.trim(), await storeKey())
    const jwk = JSON.parse(new TextDecoder().decode(plaintext)) as Record<string, unknown>
    expect(Object.keys(jwk).sort()).toEqual(['enabled', 'iat', 'k', 'kid', 'kty'])
    expect(jwk['kid']).toBe('payroll')
    expect(jwk['iat']).toBe(Date.parse('2026-01-02T03:04:05Z') / 1000)
  })

  it('returns the stored key, of either type, with its dates', async () => {
    const keys: StoredKey[] = [
      octKey('aes'),
      { ...octKey('off'), enabled: false },
      { ...octKey('dated'), notBefore: new Date('2026-02-01T00:00:00Z'), expires: new Date('2027-02-01T00:00:00Z') },
      { ...octKey('rsa'), jwk: await rsaKey(2048) },
    ]
    for (const key of keys) await store.add(key)
    for (const key of keys) {
      // Compared as a boolean: a diff would print the key.
      expect(JSON.stringify(await store.read(key.name)) === JSON.stringify(key), key.name).toBe(true)
    }
  })

  it('is for its owner only, as is the header, in a directory that only its owner can enter', async () => {
    await store.add(octKey('aes'))
    expect((await stat(temporary.directory)).mode & 0o777).toBe(0o700)
    for (const file of await readdir(temporary.directory)) {
      expect((await stat(path(file))).mode & 0o777, file).toBe(0o600)
    }
    await store.replace({ ...octKey('aes'), enabled: false })
    expect((await stat(path('aes.jwe'))).mode & 0o777).toBe(0o600)
  })

  it('is never replaced by a new key, and the attempt leaves no file', async () => {
    await store.add(octKey('aes'))
    const before = await readFile(path('aes.jwe'))
    const error = await operatorError(store.add(octKey('aes')))
    expect(error.code).toBe('KEY_EXISTS')
    expect(before.equals(await readFile(path('aes.jwe')))).toBe(true)
    expect((await readdir(temporary.directory)).sort()).toEqual(['aes.jwe', 'store.json'])
  })

  it('is made once if many processes make it at the same time', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => store.add(octKey('aes'))))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    await expect(store.read('aes')).resolves.toBeDefined()
  })

  it('rounds dates so that the key is never usable outside them', async () => {
    const notBefore = new Date('2026-01-01T00:00:00.001Z')
    const expires = new Date('2026-12-31T23:59:59.999Z')
    await store.add({ ...octKey('aes'), notBefore, expires })
    const key = await store.read('aes')
    expect(key.notBefore).toEqual(new Date('2026-01-01T00:00:01Z'))
    expect(key.expires).toEqual(new Date('2026-12-31T23:59:59Z'))
  })

  it.each(['', 'a b', '../aes', 'a/b', 'a.b', 'ключ', 'x'.repeat(65), 'a\n'])(
    'cannot be for a key named %j',
    async (name) => {
      expect((await operatorError(store.add(octKey(name)))).code).toBe('KEY_NAME_INVALID')
      expect(await readdir(temporary.directory)).toEqual(['store.json'])
    },
  )

  it('that cannot be written causes an error that names it', async () => {
    await temporary.remove()
    const error = await operatorError(store.add(octKey('aes')))
    expect(error.code).toBe('FILE_UNWRITABLE')
    expect(error.message).toContain(path('aes.jwe'))
  })

  const sealWith = async (payload: string, header: Record<string, string>) =>
    new CompactEncrypt(new TextEncoder().encode(payload))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...header })
      .encrypt(await storeKey())

  const header = { kid: 'aes', cty: 'jwk+json' }
  const envelope = { kty: 'oct', k: randomBytes(32).toString('base64url'), kid: 'aes', enabled: true, iat: 1 }

  /** Each change makes the file of the key `aes` invalid in one way. */
  const damages: readonly { what: string; code: string; damage: (file: string) => Promise<unknown> | void }[] = [
    { what: 'empty', code: 'KEY_FILE_INVALID', damage: (file) => truncate(file, 0) },
    { what: 'cut in half', code: 'KEY_FILE_INVALID', damage: (file) => truncate(file, 100) },
    { what: 'not a JWE', code: 'KEY_FILE_INVALID', damage: (file) => writeFile(file, 'hello') },
    { what: 'not even text', code: 'KEY_FILE_INVALID', damage: (file) => writeFile(file, randomBytes(500)) },
    {
      what: 'altered in one character',
      code: 'KEY_FILE_INVALID',
      damage: async (file) => {
        const text = await readFile(file, 'utf8')
        const at = text.lastIndexOf('.') - 10
        await writeFile(file, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1))
      },
    },
    {
      what: 'of another store',
      code: 'KEY_FILE_INVALID',
      damage: async (file) => {
        const other = await temporaryStore()
        await other.store.add(octKey('aes'))
        await writeFile(file, await readFile(join(other.directory, 'aes.jwe')))
        await other.remove()
      },
    },
    {
      what: 'of another key of this store',
      code: 'KEY_FILE_INVALID',
      damage: async (file) => {
        await store.add(octKey('other'))
        await rename(path('other.jwe'), file)
      },
    },
    {
      what: 'the check of the store’s header',
      code: 'KEY_FILE_INVALID',
      damage: async (file) => {
        const { check } = JSON.parse(await readFile(path('store.json'), 'utf8')) as { check: string }
        await writeFile(file, check)
      },
    },
    {
      what: 'sealed, but not JSON',
      code: 'KEY_FILE_INVALID',
      damage: async (file) => writeFile(file, await sealWith('{"kty":"oct","k":"not to be quoted', header)),
    },
    ...[
      { what: 'sealed under another name inside', payload: { ...envelope, kid: 'other' } },
      { what: 'a key of 128 bits', payload: { ...envelope, k: randomBytes(16).toString('base64url') } },
      { what: 'a key of another type', payload: { ...envelope, kty: 'EC' } },
      { what: 'a key without its state', payload: { ...envelope, enabled: undefined } },
      { what: 'a key with a date that is none', payload: { ...envelope, exp: 'tomorrow' } },
    ].map(({ what, payload }) => ({
      what,
      code: 'KEY_FILE_INVALID',
      damage: async (file: string) => writeFile(file, await sealWith(JSON.stringify(payload), header)),
    })),
    ...[
      { what: 'sealed with a header of another content type', header: { kid: 'aes', cty: 'text/plain' } },
      { what: 'sealed with a header of another name', header: { kid: 'other', cty: 'jwk+json' } },
      { what: 'sealed with a header without a name', header: { cty: 'jwk+json' } },
    ].map(({ what, header }) => ({
      what,
      code: 'KEY_FILE_INVALID',
      damage: async (file: string) => writeFile(file, await sealWith(JSON.stringify(envelope), header)),
    })),
    {
      what: 'readable by a group that is not of this process',
      code: 'FILE_MODE',
      damage: async (file) => {
        await chown(file, 0, FOREIGN_GROUP)
        await chmod(file, 0o640)
      },
    },
    { what: 'writable by its group', code: 'FILE_MODE', damage: (file) => chmod(file, 0o620) },
    { what: 'readable by everybody', code: 'FILE_MODE', damage: (file) => chmod(file, 0o604) },
    { what: 'writable by everybody', code: 'FILE_MODE', damage: (file) => chmod(file, 0o602) },
    { what: 'too large', code: 'FILE_KIND', damage: (file) => truncate(file, 64 * 1024 + 1) },
    {
      what: 'a directory',
      code: 'FILE_KIND',
      damage: async (file) => {
        await unlink(file)
        await mkdir(file, { mode: 0o700 })
      },
    },
    {
      what: 'a pipe, which could block for ever',
      code: 'FILE_KIND',
      damage: async (file) => {
        await unlink(file)
        execFileSync('mkfifo', ['-m', '600', file])
      },
    },
    {
      what: 'a link to itself',
      code: 'FILE_UNREADABLE',
      damage: async (file) => {
        await unlink(file)
        await symlink(file, file)
      },
    },
  ]

  it.each(damages)(
    'that is $what is refused with a code and its path, alone and in a list',
    async ({ code, damage }) => {
      await store.add(octKey('aes'))
      await damage(path('aes.jwe'))
      for (const call of [() => store.read('aes'), () => store.readAll()]) {
        const error = await operatorError(call())
        expect(error.code).toBe(code)
        expect(error.message).toContain(path('aes.jwe'))
        expect(error.message).not.toContain('quoted')
      }
    },
  )

  it('that is truncated anywhere, or has any character replaced, is refused in the same way', async () => {
    await store.add(octKey('aes'))
    const text = (await readFile(path('aes.jwe'), 'utf8')).trim()
    for (let at = 0; at < text.length; at += 1) {
      const replacement = text[at] === 'A' ? 'B' : 'A'
      for (const [what, damaged] of [
        ['cut', text.slice(0, at)],
        ['replaced', text.slice(0, at) + replacement + text.slice(at + 1)],
      ] as const) {
        await writeFile(path('aes.jwe'), damaged)
        const outcome = await store.read('aes').catch((error: unknown) => error)
        // The last character of a base64url part can carry unused bits.
        const meansTheSame = what === 'replaced' && (at === text.length - 1 || text[at + 1] === '.')
        if (meansTheSame && !(outcome instanceof Error)) continue
        expect(outcome instanceof OperatorError && outcome.code, `${what} at ${at}`).toBe('KEY_FILE_INVALID')
      }
    }
  })

  it('with a name that no key can have is refused with its path', async () => {
    await store.add(octKey('aes'))
    await rename(path('aes.jwe'), path('my aes.jwe'))
    const error = await operatorError(store.readAll())
    expect(error.code).toBe('KEY_FILE_INVALID')
    expect(error.message).toContain(path('my aes.jwe'))
  })

  it.each(['.0123456789abcdef.tmp', '.aes.jwe', 'aes.jwe.bak', 'README'])('is not a file named %s', async (file) => {
    await store.add(octKey('aes'))
    await writeFile(path(file), 'not a key')
    expect([...(await store.versions()).keys()]).toEqual(['aes'])
    expect((await store.readAll()).map(({ name }) => name)).toEqual(['aes'])
  })

  it.each([0o640, 0o440])(
    'may be readable by a group of this process (mode %o), as Kubernetes mounts it',
    async (mode) => {
      await store.add(octKey('aes'))
      await chmod(path('aes.jwe'), mode)
      expect((await store.readAll()).map(({ name }) => name)).toEqual(['aes'])
    },
  )

  it('has another version after each change that a reader must notice, and only then', async () => {
    const version = async () => (await store.versions()).get('aes')
    await store.add(octKey('aes'))
    const seen = [await version()]
    expect(await version()).toBe(seen[0])
    const changes = [
      () => store.replace(octKey('aes')),
      () => chmod(path('aes.jwe'), 0o640),
      () => writeFile(path('aes.jwe'), 'x'),
      () => link(path('aes.jwe'), path('.spare')),
    ]
    for (const change of changes) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      await change()
      seen.push(await version())
    }
    expect(new Set(seen).size).toBe(seen.length)
  })

  it('needs the passphrase that the store was made with', async () => {
    await store.add(octKey('aes'))
    await expect(KeyStore.open({ ...temporary, passphrase: secret(PASSPHRASE) })).resolves.toBeDefined()
    const error = await operatorError(KeyStore.open({ ...temporary, passphrase: secret(PASSPHRASE + ' ') }))
    expect(error.code).toBe('PASSPHRASE_WRONG')
    expect(error.message).toContain(path('store.json'))
    expect(error.message).not.toContain(PASSPHRASE)
  })
})
