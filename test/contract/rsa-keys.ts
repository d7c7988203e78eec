import { generateKeyPair, type JsonWebKey } from 'node:crypto'
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { systemCode, type RsaBits } from '../../adapters/contract/index.ts'
import type { RsaPrivateJwk } from './harness.ts'
import { sharedKeys } from './shared-keys.ts'

type Bits = RsaBits | 1024

const made = new Map<string, Promise<RsaPrivateJwk>>()

/** An RSA key made for this run. The same bits and `use` give the same key, because making one takes up to seconds. */
export function rsaKey(bits: Bits, use = 'first'): Promise<RsaPrivateJwk> {
  const id = `${bits}-${use}`
  const directory = sharedKeys()
  const key = made.get(id) ?? (directory === undefined ? generate(bits) : share(join(directory, id), bits))
  made.set(id, key)
  return key
}

/** The key in the file `path`. The first process that asks makes it, and the others wait. */
async function share(path: string, bits: Bits): Promise<RsaPrivateJwk> {
  if (await isFirst(path)) {
    const key = await generate(bits)
    await writeFile(`${path}.new`, JSON.stringify(key), { mode: 0o600 })
    await rename(`${path}.new`, path)
    return key
  }
  for (;;) {
    const text = await readFile(path, 'utf8')
    if (text !== '') return JSON.parse(text) as RsaPrivateJwk
    await sleep(20)
  }
}

async function isFirst(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * One test forges values that begin with 87 87. One key in a hundred has a smaller modulus, for which such a value is
 * out of range.
 */
const LEAST_FIRST_BYTE = 0x88

async function generate(bits: number): Promise<RsaPrivateJwk> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits })
  const jwk = privateKey.export({ format: 'jwk' })
  const [firstByte = 0] = Buffer.from(jwk.n ?? '', 'base64url')
  if (firstByte < LEAST_FIRST_BYTE) return generate(bits)
  const member = (name: keyof JsonWebKey): string => {
    const value = jwk[name]
    if (typeof value !== 'string') throw new TypeError(`the generated key has no ${name}`)
    return value
  }
  return {
    kty: 'RSA',
    n: member('n'),
    e: member('e'),
    d: member('d'),
    p: member('p'),
    q: member('q'),
    dp: member('dp'),
    dq: member('dq'),
    qi: member('qi'),
  }
}
