import { generateKeyPair, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'
import type { RsaBits } from '../../adapters/contract/index.ts'
import type { RsaPrivateJwk } from './harness.ts'

const made = new Map<string, Promise<RsaPrivateJwk>>()

/** An RSA key made for this run; the same bits and `use` give the same key, because making one takes up to seconds. */
export function rsaKey(bits: RsaBits | 1024, use = 'first'): Promise<RsaPrivateJwk> {
  const id = `${bits} ${use}`
  const key = made.get(id) ?? generate(bits)
  made.set(id, key)
  return key
}

async function generate(bits: number): Promise<RsaPrivateJwk> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits })
  const jwk = privateKey.export({ format: 'jwk' })
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
