import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decode, encode, format, FrameReader, TtlvError } from '../src/index.ts'
import { anyItem, anyMessage, fuzzRuns } from './arbitrary.ts'
import { goldenExchanges } from './golden.ts'
import { concat } from './hex.ts'

const messages = goldenExchanges.flatMap(({ request, response }) => [request, response])
const options = { numRuns: fuzzRuns }

/** Decodes, or rejects with a TtlvError at an offset within the bytes. Any other error is a crash and is thrown. */
function survives(bytes: Uint8Array): void {
  let item
  try {
    item = decode(bytes)
  } catch (error) {
    if (!(error instanceof TtlvError)) throw error
    expect(error.offset).toBeGreaterThanOrEqual(0)
    expect(error.offset).toBeLessThanOrEqual(bytes.length)
    return
  }
  // The decoded value must encode to one spelling.
  expect(decode(encode(item))).toStrictEqual(item)
  expect(format(item)).not.toBe('')
}

interface Mutation {
  readonly kind: 'replace' | 'insert' | 'delete' | 'length'
  readonly at: number
  readonly value: number
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('replace', 'insert', 'delete', 'length'),
  at: fc.nat(),
  value: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 4, 7, 8, 9, 0x7f, 0x80, 0xff)),
})

function mutate(bytes: Uint8Array, { kind, at, value }: Mutation): Uint8Array {
  const place = bytes.length === 0 ? 0 : at % bytes.length
  const before = bytes.slice(0, place)
  const after = bytes.slice(place)
  switch (kind) {
    case 'replace':
      return concat(before, Uint8Array.of(value), after.subarray(1))
    case 'insert':
      return concat(before, Uint8Array.of(value), after)
    case 'delete':
      return concat(before, after.subarray(1 + (value % 16)))
    case 'length': {
      // A length field begins at a multiple of 8, plus 4.
      const copy = Uint8Array.from(bytes)
      const field = (place & ~7) + 4
      if (field + 4 <= copy.length) copy.set([0, 0, value >>> 4, value & 0xff], field)
      return copy
    }
  }
}

describe('the codec, whatever comes,', () => {
  it('decodes each tree that it encoded, and encodes it to the same bytes', () => {
    fc.assert(
      fc.property(anyItem, (item) => {
        const bytes = encode(item)
        expect(bytes.length % 8).toBe(0)
        const again = decode(bytes)
        expect(again).toStrictEqual(item)
        expect(encode(again)).toEqual(bytes)
      }),
      options,
    )
  })

  it('reads or refuses a changed message', () => {
    const valid = fc.oneof(
      fc.constantFrom(...messages),
      anyItem.map((item) => encode(item)),
    )
    fc.assert(
      fc.property(valid, fc.array(mutation, { minLength: 1, maxLength: 4 }), (bytes, mutations) => {
        survives(mutations.reduce(mutate, bytes))
      }),
      { numRuns: 4 * fuzzRuns },
    )
  })

  it('reads or refuses any sequence of bytes', () => {
    const plausible = fc
      .array(
        fc.oneof(
          fc.constantFrom([0x42], [0x42, 0, 0x78, 1], [0, 0, 0, 8], [0, 0, 0, 4], [0, 0, 0, 0]),
          fc.nat({ max: 255 }).map((byte) => [byte]),
        ),
        { maxLength: 60 },
      )
      .map((parts) => Uint8Array.from(parts.flat()))
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), plausible), survives), options)
  })

  it('finds the same messages in any split', () => {
    fc.assert(
      fc.property(
        fc.array(
          anyMessage.map((item) => encode(item)),
          { maxLength: 5 },
        ),
        fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 30 }),
        (frames, sizes) => {
          const stream = concat(...frames)
          const found: Uint8Array[] = []
          const reader = new FrameReader((frame) => found.push(frame))
          let at = 0
          for (let turn = 0; at < stream.length; turn++) {
            // A split may have empty pieces, but not only these.
            const size = turn % 2 === 0 ? (sizes[turn % sizes.length] ?? 0) : 1 + turn
            reader.push(stream.subarray(at, at + size))
            at += size
          }
          reader.end()
          expect(found).toEqual(frames)
        },
      ),
      options,
    )
  })

  it('finds the same messages and the same failure in any split of any stream', () => {
    const read = (pieces: readonly Uint8Array[]) => {
      const found: Uint8Array[] = []
      const reader = new FrameReader((frame) => found.push(frame), { maxBytes: 65_536 })
      try {
        for (const piece of pieces) reader.push(piece)
        reader.end()
        return { found }
      } catch (error) {
        if (!(error instanceof TtlvError)) throw error
        return { found, code: error.code, offset: error.offset }
      }
    }
    fc.assert(
      fc.property(
        anyMessage.map((item) => encode(item)),
        fc.array(mutation, { maxLength: 3 }),
        (bytes, mutations) => {
          const stream = mutations.reduce(mutate, concat(bytes, bytes))
          const single = Array.from(stream, (byte) => Uint8Array.of(byte))
          expect(read(single)).toEqual(read([stream]))
        },
      ),
      options,
    )
  })
})
