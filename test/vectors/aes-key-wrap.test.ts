import { createSecretKey, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { AesKeyWrap, type AesKeyWrapMode } from '../../adapters/software/aes-key-wrap.ts'
import { aes256, aes256Inverse, kw, kwp } from '../contract/reference.ts'
import { nistVectors, rfcVectors } from './vectors.ts'

const reference = { wrap: kw, 'wrap-pad': kwp }
const keyWrapOf = (key: Uint8Array) => new AesKeyWrap(createSecretKey(key))
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')

describe.each(rfcVectors)('$source', ({ mode, cases }) => {
  it.each(cases)('section $section', ({ key, plaintext, wrapped }) => {
    const keyWrap = keyWrapOf(key)
    expect(hex(keyWrap.wrap(mode, plaintext))).toBe(hex(wrapped))
    expect(hex(keyWrap.unwrap(mode, wrapped))).toBe(hex(plaintext))
  })
})

/** The cases by plaintext length, so that a failure names its length. */
function byLength<T extends { readonly bits: number }>(cases: readonly T[]) {
  return [...new Set(cases.map(({ bits }) => bits))].map((bits) => ({
    bits,
    cases: cases.filter((each) => each.bits === bits),
  }))
}

const forward = nistVectors.filter(({ cipher }) => cipher === 'aes-256')
const inverse = nistVectors.filter(({ cipher }) => cipher === 'aes-256 inverse')

describe.each(forward)('SP 800-38F $files', ({ mode, wrap, unwrap }) => {
  it.each(byLength(wrap))('AE, $bits bits', ({ cases }) => {
    for (const { count, key, plaintext, wrapped } of cases) {
      expect(hex(keyWrapOf(key).wrap(mode, plaintext)), `COUNT = ${count}`).toBe(hex(wrapped))
      expect(hex(reference[mode](aes256(key), plaintext)), `COUNT = ${count}, reference`).toBe(hex(wrapped))
    }
  })

  it.each(byLength(unwrap))('AD, $bits bits', ({ cases }) => {
    expect(cases.some(({ plaintext }) => plaintext === null)).toBe(true)
    for (const { count, key, plaintext, wrapped } of cases) {
      const expected = plaintext === null ? undefined : hex(plaintext)
      expect(hex(keyWrapOf(key).unwrap(mode, wrapped)), `COUNT = ${count}`).toBe(expected)
    }
  })
})

// These values were wrapped with AES's inverse cipher, which SP 800-38F §5.1 allows and RFC 3394 does not. The
// reference reproduces the values, so that they are refused for that reason only.
describe.each(inverse)('SP 800-38F $files: never ours', ({ mode, wrap, unwrap }) => {
  it.each(byLength(wrap))('AE, $bits bits', ({ cases }) => {
    for (const { count, key, plaintext, wrapped } of cases) {
      expect(hex(reference[mode](aes256Inverse(key), plaintext)), `COUNT = ${count}`).toBe(hex(wrapped))
      expect(hex(keyWrapOf(key).wrap(mode, plaintext)), `COUNT = ${count}`).not.toBe(hex(wrapped))
      expect(keyWrapOf(key).unwrap(mode, wrapped), `COUNT = ${count}`).toBeUndefined()
    }
  })

  it.each(byLength(unwrap))('AD, $bits bits', ({ cases }) => {
    for (const { count, key, plaintext, wrapped } of cases) {
      if (plaintext !== null) {
        expect(hex(reference[mode](aes256Inverse(key), plaintext)), `COUNT = ${count}`).toBe(hex(wrapped))
      }
      expect(keyWrapOf(key).unwrap(mode, wrapped), `COUNT = ${count}`).toBeUndefined()
    }
  })
})

describe.each(['wrap', 'wrap-pad'] satisfies AesKeyWrapMode[])('%s refuses by length', (mode) => {
  const keyWrap = keyWrapOf(Buffer.alloc(32, 7))
  const shortest = { wrap: 24, 'wrap-pad': 16 }[mode]
  const bad = Array.from({ length: 80 }, (_, bytes) => bytes).filter((bytes) => bytes % 8 !== 0 || bytes < shortest)

  it.each(bad)('%i bytes', (bytes) => {
    expect(keyWrap.unwrap(mode, Buffer.alloc(bytes, 1))).toBeUndefined()
  })
})

describe('AES key wrap of many values with one key', () => {
  it.each(['wrap', 'wrap-pad'] satisfies AesKeyWrapMode[])('by %s gives each the same result as alone', (mode) => {
    const key = randomBytes(32)
    const keyWrap = keyWrapOf(key)
    for (let count = 0; count < 500; count += 1) {
      const plaintext = randomBytes(mode === 'wrap' ? 16 + 8 * (count % 32) : 1 + (count % 256))
      const wrapped = keyWrap.wrap(mode, plaintext)
      expect(hex(wrapped)).toBe(hex(reference[mode](aes256(key), plaintext)))
      // Refused values in between change nothing.
      const tampered = Buffer.from(wrapped)
      tampered[count % tampered.length]! ^= 0x80
      expect(keyWrap.unwrap(mode, tampered)).toBeUndefined()
      expect(hex(keyWrap.unwrap(mode, wrapped))).toBe(hex(plaintext))
    }
  })
})
