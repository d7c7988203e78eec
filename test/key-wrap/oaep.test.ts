import { constants, createPrivateKey, privateDecrypt, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isRepresentative, oaepDecode, oaepWrap, rsaPublicKey, type OaepHash } from '../../adapters/key-wrap/index.ts'
import { badCiphertexts } from '../contract/bad-ciphertexts.ts'
import { oaepUnwrap, oaepWrapByHand } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'

const jwk = await rsaKey(2048)
const otherJwk = await rsaKey(2048, 'other')
const privateKey = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
const bytes = (text: string) => Buffer.from(text, 'base64url')
const publicKey = rsaPublicKey(bytes(jwk.n), bytes(jwk.e))

/** The result of CKM_RSA_X_509 on an HSM; `undefined` if the HSM would refuse the number. */
function raw(value: Uint8Array): Uint8Array | undefined {
  try {
    return privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, value)
  } catch {
    return undefined
  }
}

const unwrap = (value: Uint8Array, hash: OaepHash) => {
  const encoded = raw(value)
  return encoded && oaepDecode(encoded, hash)
}

const cases = [
  { hash: 'SHA-1', nodeHash: 'sha1', algorithm: 'RSA-OAEP', max: 214 },
  { hash: 'SHA-256', nodeHash: 'sha256', algorithm: 'RSA-OAEP-256', max: 190 },
] as const

describe.each(cases)('OAEP with $hash', ({ hash, nodeHash, algorithm, max }) => {
  it('gives back every legal length, wrapped here and by hand', () => {
    for (let length = 1; length <= max; length++) {
      const message = randomBytes(length)
      const mine = oaepWrap(publicKey, hash, message)
      expect(Buffer.compare(oaepUnwrap(jwk, nodeHash, mine), message), `${length} wrapped`).toBe(0)
      const byHand = oaepWrapByHand(jwk, { hash: nodeHash, message })
      expect(Buffer.compare(unwrap(byHand, hash) ?? Buffer.alloc(0), message), `${length} unwrapped`).toBe(0)
    }
  })

  it('does not read a message of zeros and ones as padding', () => {
    for (const message of [Buffer.alloc(8), Buffer.alloc(8, 1), Buffer.from('0001000101', 'hex')]) {
      expect(Buffer.from(unwrap(oaepWrap(publicKey, hash, message), hash) ?? []).equals(message)).toBe(true)
    }
  })

  it('refuses an empty message', () => {
    expect(unwrap(oaepWrap(publicKey, hash, Buffer.alloc(0)), hash)).toBeUndefined()
  })

  it('refuses every bad ciphertext of the contract suite', () => {
    const kek = randomBytes(32)
    const values = badCiphertexts(algorithm, { kek, otherKek: kek, jwk, otherJwk })
    expect(values.length).toBeGreaterThan(5)
    for (const { cause, value } of values) {
      if (value.length === 256) expect(unwrap(value, hash), cause).toBeUndefined()
    }
  })

  it('zeroes the encoded message, whether decoding succeeds or not', () => {
    for (const encoded of [raw(oaepWrap(publicKey, hash, randomBytes(32))), randomBytes(256)]) {
      oaepDecode(encoded ?? Buffer.alloc(256, 1), hash)
      expect(encoded?.every((byte) => byte === 0)).toBe(true)
    }
  })

  it('refuses a value too short for an encoding', () => {
    expect(oaepDecode(Buffer.alloc(20), hash)).toBeUndefined()
  })
})

describe('a ciphertext representative', () => {
  const n = bytes(jwk.n)
  const below = Buffer.from(n)
  below.writeUInt8(n.readUInt8(n.length - 1) - 1, n.length - 1)

  it.each([
    { what: 'zero', value: Buffer.alloc(256), expected: true },
    { what: 'the modulus less one', value: below, expected: true },
    { what: 'the modulus', value: n, expected: false },
    { what: 'all ones', value: Buffer.alloc(256, 0xff), expected: false },
    { what: 'a byte too few', value: Buffer.alloc(255), expected: false },
    { what: 'a byte too many', value: Buffer.alloc(257), expected: false },
  ])('is as long as the modulus and below it: $what', ({ value, expected }) => {
    expect(isRepresentative(value, n)).toBe(expected)
    expect(isRepresentative(value, Buffer.concat([Buffer.alloc(1), n]))).toBe(expected)
  })
})
