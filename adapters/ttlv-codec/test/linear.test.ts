import { describe, expect, it } from 'vitest'
import {
  bigInteger,
  byteString,
  decode,
  defaultLimits,
  encode,
  FrameReader,
  integer,
  structure,
  textString,
  type Item,
} from '../src/index.ts'

const unlimited = { maxBytes: 2 ** 30, maxItems: 2 ** 30 }

/** `levels` nested Structures of one child each around `inner`. */
const around = (levels: number, inner: Item): Item =>
  levels === 0 ? inner : structure(0x42000f, [around(levels - 1, inner)])

const repeated = (bytes: number, item: Item) =>
  Array.from({ length: Math.floor(bytes / encode(item).length) }, () => item)

/** Trees of about `bytes` bytes. Each one stresses another part of the codec. */
const shapes: readonly { readonly what: string; readonly make: (bytes: number) => Item }[] = [
  { what: 'Integers', make: (bytes) => structure(0x420078, repeated(bytes, integer(0x420020, 1))) },
  { what: 'empty Structures', make: (bytes) => structure(0x420078, repeated(bytes, structure(0x42000f, []))) },
  { what: 'deep Structures', make: (bytes) => structure(0x420078, repeated(bytes, around(30, integer(0x420020, 1)))) },
  { what: 'one Byte String', make: (bytes) => byteString(0x4200c2, new Uint8Array(bytes)) },
  { what: 'one Text String of ASCII', make: (bytes) => textString(0x420020, 'x'.repeat(bytes)) },
  { what: 'one Text String of keys', make: (bytes) => textString(0x420020, '\u{1f511}'.repeat(bytes / 4)) },
  { what: 'one Big Integer', make: (bytes) => bigInteger(0x420020, 1n << BigInt(8 * bytes - 10)) },
  { what: 'short Text Strings', make: (bytes) => structure(0x420078, repeated(bytes, textString(0x420020, 'State'))) },
]

function milliseconds(work: () => void): number {
  let best = Infinity
  for (let round = 0; round < 2; round++) {
    const start = performance.now()
    work()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

// Starts at the default limit, where a tree no longer fits into V8's nursery and costs more. For 8 times the bytes,
// quadratic work takes 64 times as long. The factor 24 leaves room for a busy machine.
const FACTOR = 8
const TOLERATED = 24
const ATTEMPTS = 6
/** Work quicker than this cannot be measured, and needs no bound. */
const FLOOR_MS = 1

/**
 * How many times as long `large` takes as `small`. A busy machine may spoil one attempt; quadratic work fails them all.
 */
function slowdown(small: () => void, large: () => void): number {
  let least = Infinity
  for (let attempt = 0; attempt < ATTEMPTS && least >= TOLERATED; attempt++) {
    least = Math.min(least, milliseconds(large) / Math.max(FLOOR_MS, milliseconds(small)))
  }
  return least
}

describe('the codec takes time linear in the length, up to the limit,', () => {
  const small = defaultLimits.maxBytes

  it.each(shapes)('for $what', ({ make }) => {
    const [one, many] = [make(small), make(FACTOR * small)]
    const [oneBytes, manyBytes] = [encode(one, unlimited), encode(many, unlimited)]
    const encoding = slowdown(
      () => encode(one, unlimited),
      () => encode(many, unlimited),
    )
    const decoding = slowdown(
      () => decode(oneBytes, unlimited),
      () => decode(manyBytes, unlimited),
    )
    expect(encoding).toBeLessThan(TOLERATED)
    expect(decoding).toBeLessThan(TOLERATED)
  })

  it('for a message that comes byte by byte', () => {
    const message = encode(structure(0x420078, [byteString(0x4200c2, new Uint8Array(small - 16))]))
    const read = (bytes: number) => () => {
      const reader = new FrameReader(() => undefined, { maxBytes: message.length })
      for (let at = 0; at < bytes; at++) reader.push(message.subarray(at, at + 1))
    }
    expect(slowdown(read(message.length / FACTOR), read(message.length))).toBeLessThan(TOLERATED)
  })
})
