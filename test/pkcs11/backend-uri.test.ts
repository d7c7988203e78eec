import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Secret } from '../../adapters/contract/index.ts'
import { readBackendUri, resolveSettings } from '../../adapters/pkcs11/names/backend-uri.ts'

const directory = mkdtempSync(join(tmpdir(), 'ekm-pin-'))
afterAll(() => rmSync(directory, { recursive: true }))

function pinFile(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text, { mode: 0o600 })
  return path
}

/** A file that every user can change. */
function openPinFile(): string {
  const path = pinFile('open', '648219')
  chmodSync(path, 0o602)
  return path
}

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('utf8')

describe('a pkcs11: URI for a backend', () => {
  it('names module and token', async () => {
    const uri = 'pkcs11:token=ekm%20prod;serial=01;slot-id=9007199254740993?module-path=/usr/lib/a.so'
    expect(await readBackendUri(uri)).toEqual({
      module: '/usr/lib/a.so',
      token: { label: 'ekm prod', serial: '01', slot: 9007199254740993n },
    })
  })

  it.each([
    { what: 'without a newline', name: 'plain', content: '648219' },
    { what: 'with a newline', name: 'line', content: '648219\n' },
    { what: 'with a newline of Windows', name: 'windows', content: '648219\r\n' },
  ])('has pin-source read from a path and from a file: URI, $what', async ({ name, content }) => {
    const path = pinFile(name, content)
    for (const source of [path, `file:${path}`, `file://${path}`]) {
      const { pin } = await readBackendUri(`pkcs11:token=a?pin-source=${source}`)
      expect(text(pin?.reveal())).toBe('648219')
    }
  })

  it.each([
    { uri: 'pkcs11:token=a?pin-value=648219', code: 'PKCS11_URI_INVALID' },
    { uri: 'pkcs11:token=a?pin-source=|/bin/cat', code: 'PKCS11_URI_INVALID' },
    { uri: 'pkcs11:token=a?pin-source=file://elsewhere/pin', code: 'PKCS11_URI_INVALID' },
    { uri: 'pkcs11:token=a;object=key', code: 'PKCS11_URI_INVALID' },
    { uri: 'pkcs11:token=a?pin-source=/no/such/file', code: 'FILE_UNREADABLE' },
    { uri: `pkcs11:token=a?pin-source=${directory}`, code: 'FILE_UNREADABLE' },
    { uri: `pkcs11:token=a?pin-source=${pinFile('empty', '\n')}`, code: 'FILE_KIND' },
    { uri: `pkcs11:token=a?pin-source=${pinFile('two-lines', '1234\n\n')}`, code: 'SECRET_FILE_FLAWED' },
    { uri: `pkcs11:token=a?pin-source=${openPinFile()}`, code: 'FILE_UNTRUSTED' },
    { uri: `pkcs11:token=a?pin-source=${pinFile('long', '1'.repeat(2000))}`, code: 'FILE_KIND' },
  ])('is refused as $uri', async ({ uri, code }) => {
    const error = await readBackendUri(uri).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ name: 'OperatorError', code })
    expect(String(error)).not.toContain('648219')
  })
})

describe('settings whose token is a pkcs11: URI', () => {
  const module = '/usr/lib/a.so'

  it('are those of the URI and those in the section', async () => {
    const token = `pkcs11:token=ekm?module-path=${module}&pin-source=${pinFile('resolved', '648219')}`
    const { pin, ...rest } = await resolveSettings({ module, token, sessions: 3 })
    expect(rest).toEqual({ module, token: { label: 'ekm' }, sessions: 3 })
    expect(text(pin?.reveal())).toBe('648219')
  })

  it('are unchanged if the section itself names the token', async () => {
    const settings = { module, token: { label: 'ekm' } }
    expect(await resolveSettings(settings)).toEqual(settings)
  })

  it.each([
    ['no token', 'pkcs11:?module-path=/usr/lib/a.so', undefined],
    ['another module', 'pkcs11:token=ekm?module-path=/usr/lib/b.so', undefined],
    ['two PINs', `pkcs11:token=ekm?pin-source=${pinFile('twice', '648219')}`, new Secret(Buffer.from('1234'))],
  ])('are refused with %s', async (_what, token, pin) => {
    const settings = { module, token, ...(pin && { pin }) }
    await expect(resolveSettings(settings)).rejects.toMatchObject({ code: 'PKCS11_URI_INVALID' })
  })
})
