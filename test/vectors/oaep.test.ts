import { execFile } from 'node:child_process'
import { createPrivateKey, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AdapterError, algorithmRow } from '../../adapters/contract/index.ts'
import { usableKey, type UsableKey } from '../../adapters/software/usable-key.ts'
import type { RsaPrivateJwk } from '../contract/harness.ts'
import { oaepWrapByHand } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'

const run = promisify(execFile)

const algorithms = [
  { algorithm: 'RSA-OAEP', md: 'sha1', otherMd: 'sha256' },
  { algorithm: 'RSA-OAEP-256', md: 'sha256', otherMd: 'sha1' },
] as const

describe.each([2048, 3072] as const)('OAEP with %i bits, against openssl pkeyutl', (bits) => {
  let directory: string
  let jwk: RsaPrivateJwk
  let key: UsableKey

  beforeAll(async () => {
    await run('openssl', ['version']).catch(() => {
      throw new Error('these tests need the openssl command: install it; they are not to be skipped')
    })
    directory = await mkdtemp(join(tmpdir(), 'ekm-gateway-oaep-'))
    jwk = await rsaKey(bits)
    const pem = createPrivateKey({ key: { ...jwk }, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' })
    await writeFile(join(directory, 'key.pem'), pem, { mode: 0o600 })
    key = await usableKey({ name: 'rsa', jwk, enabled: true, created: new Date() })
  })

  afterAll(() => rm(directory, { recursive: true, force: true }))

  async function pkeyutl(direction: 'encrypt' | 'decrypt', md: string, mgf1Md: string, value: Uint8Array) {
    const path = (name: string) => join(directory, name)
    const input = path(randomBytes(8).toString('hex'))
    await writeFile(input, value, { mode: 0o600 })
    const options = ['rsa_padding_mode:oaep', `rsa_oaep_md:${md}`, `rsa_mgf1_md:${mgf1Md}`]
    const { stdout } = await run(
      'openssl',
      ['pkeyutl', `-${direction}`, '-inkey', path('key.pem'), '-in', input, ...options.flatMap((o) => ['-pkeyopt', o])],
      { encoding: 'buffer' },
    )
    return stdout
  }

  const unwrapCode = (algorithm: (typeof algorithms)[number]['algorithm'], value: Uint8Array) =>
    Promise.resolve(key.unwrap(algorithm, value)).then(
      () => 'a result',
      (error: unknown) => (error instanceof AdapterError ? error.code : 'another error'),
    )

  it.each(algorithms)('$algorithm: openssl unwraps what we wrap', async ({ algorithm, md }) => {
    for (const length of [1, 32, algorithmRow(algorithm).plaintext(bits).max]) {
      const plaintext = randomBytes(length)
      const bytes = await pkeyutl('decrypt', md, md, await key.wrap(algorithm, plaintext))
      expect(Buffer.compare(bytes, plaintext), `${length} bytes`).toBe(0)
    }
  })

  it.each(algorithms)('$algorithm: we unwrap what openssl wraps', async ({ algorithm, md }) => {
    for (const length of [1, 32, algorithmRow(algorithm).plaintext(bits).max]) {
      const plaintext = randomBytes(length)
      const bytes = await pkeyutl('encrypt', md, md, plaintext)
      expect(Buffer.compare(await key.unwrap(algorithm, bytes), plaintext), `${length} bytes`).toBe(0)
    }
  })

  it.each(algorithms)(
    '$algorithm: MGF1 has the same hash, $md, and not $otherMd',
    async ({ algorithm, md, otherMd }) => {
      const plaintext = randomBytes(32)
      const ours = await key.wrap(algorithm, plaintext)
      await expect(pkeyutl('decrypt', md, otherMd, ours)).rejects.toThrow()
      const mixed = await pkeyutl('encrypt', md, otherMd, plaintext)
      expect(await unwrapCode(algorithm, mixed)).toBe('CIPHERTEXT_INVALID')
      // The value itself is sound: whoever mixes the hashes in the same way gets the data back.
      const reopened = await pkeyutl('decrypt', md, otherMd, mixed)
      expect(Buffer.compare(reopened, plaintext)).toBe(0)
    },
  )

  it.each(algorithms)(
    '$algorithm: the reference of the contract suite agrees with openssl',
    async ({ md, otherMd }) => {
      for (const mgfHash of [md, otherMd]) {
        const message = randomBytes(32)
        const bytes = await pkeyutl('decrypt', md, mgfHash, oaepWrapByHand(jwk, { hash: md, mgfHash, message }))
        expect(Buffer.compare(bytes, message), mgfHash).toBe(0)
      }
    },
  )
})
