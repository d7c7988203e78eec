import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { blockCalls, unwrapAll, wrapAll, type BlockFunction, type KeyWrapMode } from '../../adapters/key-wrap/index.ts'
import { aes256, kw, kwIv, kwp, kwpIv, wrapSemiblocks } from '../contract/reference.ts'
import { nistVectors, rfcVectors } from '../vectors/vectors.ts'

const modes = { wrap: 'KW', 'wrap-pad': 'KWP' } as const
const reference = { KW: kw, KWP: kwp }
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')

/** Single AES blocks of a key in this process, with a count of the calls. */
function blocksOf(key: Uint8Array) {
  const name = `aes-${key.length * 8}-ecb`
  const calls: number[] = []
  const counted =
    (update: (blocks: Uint8Array) => Uint8Array): BlockFunction =>
    (blocks) => {
      calls.push(blocks.length / 16)
      return update(blocks)
    }
  return {
    calls,
    encrypt: counted((blocks) => createCipheriv(name, key, null).setAutoPadding(false).update(blocks)),
    decrypt: counted((blocks) => createDecipheriv(name, key, null).setAutoPadding(false).update(blocks)),
  }
}

const wrapOne = async (mode: KeyWrapMode, key: Uint8Array, value: Uint8Array) =>
  (await wrapAll(mode, [value], blocksOf(key).encrypt))[0]
const unwrapOne = async (mode: KeyWrapMode, key: Uint8Array, value: Uint8Array) =>
  (await unwrapAll(mode, [value], blocksOf(key).decrypt))[0]

describe.each(rfcVectors)('$source', ({ mode, cases }) => {
  it.each(cases)('section $section', async ({ key, plaintext, wrapped }) => {
    expect(hex(await wrapOne(modes[mode], key, plaintext))).toBe(hex(wrapped))
    expect(hex(await unwrapOne(modes[mode], key, wrapped))).toBe(hex(plaintext))
  })
})

describe.each(nistVectors.filter(({ cipher }) => cipher === 'aes-256'))('$source, $mode', ({ mode, wrap, unwrap }) => {
  it('wraps every value of the documents', async () => {
    for (const { bits, count, key, plaintext, wrapped } of wrap) {
      expect(hex(await wrapOne(modes[mode], key, plaintext)), `${bits} bits, COUNT = ${count}`).toBe(hex(wrapped))
    }
  })

  it('unwraps every value of the documents, and refuses those marked FAIL', async () => {
    for (const { bits, count, key, plaintext, wrapped } of unwrap) {
      const expected = plaintext === null ? undefined : hex(plaintext)
      expect(hex(await unwrapOne(modes[mode], key, wrapped)), `${bits} bits, COUNT = ${count}`).toBe(expected)
    }
  })
})

const key = randomBytes(32)

describe.each(['KW', 'KWP'] as const)('%s of several values at once', (mode) => {
  const lengths = mode === 'KW' ? [16, 24, 4096, 16, 32, 512] : [1, 8, 9, 20, 4096, 7, 33, 512]
  const values = lengths.map((length) => randomBytes(length))

  it('gives each the same result as alone', async () => {
    const wrapped = await wrapAll(mode, values, blocksOf(key).encrypt)
    expect(wrapped.map(hex)).toEqual(values.map((value) => hex(reference[mode](aes256(key), value))))
    const back = await unwrapAll(mode, wrapped, blocksOf(key).decrypt)
    expect(back.map(hex)).toEqual(values.map(hex))
  })

  it('needs no more block calls than the longest value', async () => {
    const blocks = blocksOf(key)
    const wrapped = await wrapAll(mode, values, blocks.encrypt)
    expect(blocks.calls).toHaveLength(blockCalls(4096 + 8))
    expect(blocks.calls[0]).toBe(values.length)
    const decrypting = blocksOf(key)
    await unwrapAll(mode, wrapped, decrypting.decrypt)
    expect(decrypting.calls).toHaveLength(blockCalls(4096 + 8))
  })

  it('distinguishes bad and good values, each in its place', async () => {
    const wrapped = await wrapAll(mode, values, blocksOf(key).encrypt)
    wrapped[1] = (wrapped[1] ?? Buffer.alloc(0)).map((byte, at) => (at === 9 ? byte ^ 0x80 : byte))
    wrapped.push(Buffer.alloc(0), randomBytes(8), randomBytes(17), randomBytes(mode === 'KW' ? 16 : 24))
    const back = await unwrapAll(mode, wrapped, blocksOf(key).decrypt)
    expect(back.map(hex)).toEqual([
      ...values.map((value, index) => (index === 1 ? undefined : hex(value))),
      ...Array.from({ length: 4 }, () => undefined),
    ])
  })

  it('does not change its arguments, and returns no values for none', async () => {
    const copy = values.map((value) => Buffer.from(value))
    const wrapped = await wrapAll(mode, values, blocksOf(key).encrypt)
    const wrappedCopy = wrapped.map((value) => Buffer.from(value))
    await unwrapAll(mode, wrapped, blocksOf(key).decrypt)
    expect(values.map(hex)).toEqual(copy.map(hex))
    expect(wrapped.map(hex)).toEqual(wrappedCopy.map(hex))
    expect(await wrapAll(mode, [], blocksOf(key).encrypt)).toEqual([])
    expect(await unwrapAll(mode, [], blocksOf(key).decrypt)).toEqual([])
  })
})

describe('unwrapping what only looks wrapped', () => {
  const encrypt = aes256(key)
  const padded = (bytes: number, padding: number) => Buffer.concat([Buffer.alloc(bytes, 7), Buffer.alloc(padding)])

  it.each([
    { what: 'a length of zero', iv: kwpIv(0), data: padded(8, 0) },
    { what: 'a length of a semiblock less', iv: kwpIv(8), data: padded(16, 0) },
    { what: 'a length beyond the data', iv: kwpIv(17), data: padded(16, 0) },
    { what: 'a length of 2^32 - 1', iv: kwpIv(0xffffffff), data: padded(16, 0) },
    { what: 'padding that is not zero', iv: kwpIv(13), data: padded(16, 0) },
    { what: 'the other constant', iv: kwIv, data: padded(16, 0) },
  ])('KWP with $what is refused', async ({ iv, data }) => {
    expect(await unwrapOne('KWP', key, wrapSemiblocks(encrypt, iv, data))).toBeUndefined()
  })

  it('a KWP value is no KW value', async () => {
    expect(await unwrapOne('KW', key, kwp(encrypt, randomBytes(16)))).toBeUndefined()
  })

  it('a block function that changes the length is an error', async () => {
    await expect(wrapAll('KW', [randomBytes(16)], (blocks) => blocks.subarray(1))).rejects.toThrow(RangeError)
  })

  it.each([
    ['wrapping', wrapAll],
    ['unwrapping', unwrapAll],
  ])('a block function that rejects ends the %s, and the blocks it was given are zeroed', async (_what, work) => {
    const given: Uint8Array[] = []
    const late = new Error('the deadline passed')
    const rejecting = (blocks: Uint8Array) => {
      given.push(blocks)
      return given.length < 4 ? Promise.resolve(Uint8Array.from(blocks)) : Promise.reject(late)
    }
    await expect(work('KW', [randomBytes(32)], rejecting)).rejects.toBe(late)
    expect(given).toHaveLength(4)
    for (const blocks of given) expect(blocks.every((byte) => byte === 0)).toBe(true)
  })
})
