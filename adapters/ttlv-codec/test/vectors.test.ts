import { describe, expect, it } from 'vitest'
import {
  bigInteger,
  boolean,
  byteString,
  dateTime,
  dateTimeExtended,
  decode,
  encode,
  enumeration,
  integer,
  interval,
  longInteger,
  structure,
  textString,
  type Item,
} from '../src/index.ts'
import { goldenExchanges } from './golden.ts'
import { hex } from './hex.ts'

interface Vector {
  readonly what: string
  readonly item: Item
  readonly bytes: string
}

/** KMIP 1.4 §9.1.2, "Examples"; every value there has the tag 420020. */
const specification: readonly Vector[] = [
  {
    what: 'an Integer of 8',
    item: integer(0x420020, 8),
    bytes: '42 00 20 | 02 | 00 00 00 04 | 00 00 00 08 00 00 00 00',
  },
  {
    what: 'a Long Integer of 123456789000000000',
    item: longInteger(0x420020, 123456789000000000n),
    bytes: '42 00 20 | 03 | 00 00 00 08 | 01 B6 9B 4B A5 74 92 00',
  },
  {
    what: 'a Big Integer of 1234567890000000000000000000',
    item: bigInteger(0x420020, 1234567890000000000000000000n),
    bytes: '42 00 20 | 04 | 00 00 00 10 | 00 00 00 00 03 FD 35 EB 6B C2 DF 46 18 08 00 00',
  },
  {
    what: 'an Enumeration of 255',
    item: enumeration(0x420020, 255),
    bytes: '42 00 20 | 05 | 00 00 00 04 | 00 00 00 FF 00 00 00 00',
  },
  {
    what: 'a Boolean of true',
    item: boolean(0x420020, true),
    bytes: '42 00 20 | 06 | 00 00 00 08 | 00 00 00 00 00 00 00 01',
  },
  {
    what: 'a Text String of "Hello World"',
    item: textString(0x420020, 'Hello World'),
    bytes: '42 00 20 | 07 | 00 00 00 0B | 48 65 6C 6C 6F 20 57 6F 72 6C 64 00 00 00 00 00',
  },
  {
    what: 'a Byte String of 01 02 03',
    item: byteString(0x420020, Uint8Array.of(1, 2, 3)),
    bytes: '42 00 20 | 08 | 00 00 00 03 | 01 02 03 00 00 00 00 00',
  },
  {
    what: 'a Date-Time of Friday, March 14, 2008, 11:56:40 GMT',
    item: dateTime(0x420020, BigInt(Date.UTC(2008, 2, 14, 11, 56, 40) / 1000)),
    bytes: '42 00 20 | 09 | 00 00 00 08 | 00 00 00 00 47 DA 67 F8',
  },
  {
    what: 'an Interval of 10 days',
    item: interval(0x420020, 10 * 24 * 3600),
    bytes: '42 00 20 | 0A | 00 00 00 04 | 00 0D 2F 00 00 00 00 00',
  },
  {
    what: 'a Structure of an Enumeration of 254 and an Integer of 255',
    item: structure(0x420020, [enumeration(0x420004, 254), integer(0x420005, 255)]),
    bytes:
      '42 00 20 | 01 | 00 00 00 20 | 42 00 04 | 05 | 00 00 00 04 | 00 00 00 FE 00 00 00 00' +
      '| 42 00 05 | 02 | 00 00 00 04 | 00 00 00 FF 00 00 00 00',
  },
]

/** The bounds of each type, encoded by hand. */
const edges: readonly Vector[] = [
  { what: 'an empty Structure', item: structure(0x420078, []), bytes: '42 00 78 | 01 | 00 00 00 00' },
  { what: 'an extension tag', item: integer(0x54abcd, 0), bytes: '54 AB CD | 02 | 00 00 00 04 | 00 00 00 00 00 00 00 00' },
  { what: 'the smallest Integer', item: integer(0x420020, -(2 ** 31)), bytes: '42 00 20 | 02 | 00 00 00 04 | 80 00 00 00 00 00 00 00' },
  { what: 'the largest Integer', item: integer(0x420020, 2 ** 31 - 1), bytes: '42 00 20 | 02 | 00 00 00 04 | 7F FF FF FF 00 00 00 00' },
  { what: 'an Integer of -1', item: integer(0x420020, -1), bytes: '42 00 20 | 02 | 00 00 00 04 | FF FF FF FF 00 00 00 00' },
  { what: 'the smallest Long Integer', item: longInteger(0x420020, -(2n ** 63n)), bytes: '42 00 20 | 03 | 00 00 00 08 | 80 00 00 00 00 00 00 00' },
  { what: 'the largest Long Integer', item: longInteger(0x420020, 2n ** 63n - 1n), bytes: '42 00 20 | 03 | 00 00 00 08 | 7F FF FF FF FF FF FF FF' },
  { what: 'a Big Integer of 0', item: bigInteger(0x420020, 0n), bytes: '42 00 20 | 04 | 00 00 00 08 | 00 00 00 00 00 00 00 00' },
  { what: 'a Big Integer of -1', item: bigInteger(0x420020, -1n), bytes: '42 00 20 | 04 | 00 00 00 08 | FF FF FF FF FF FF FF FF' },
  { what: 'a Big Integer of 1', item: bigInteger(0x420020, 1n), bytes: '42 00 20 | 04 | 00 00 00 08 | 00 00 00 00 00 00 00 01' },
  { what: 'the largest Big Integer of 8 bytes', item: bigInteger(0x420020, 2n ** 63n - 1n), bytes: '42 00 20 | 04 | 00 00 00 08 | 7F FF FF FF FF FF FF FF' },
  { what: 'a Big Integer whose top bit would be taken for a sign', item: bigInteger(0x420020, 2n ** 63n), bytes: '42 00 20 | 04 | 00 00 00 10 | 00 00 00 00 00 00 00 00 80 00 00 00 00 00 00 00' },
  { what: 'the smallest Big Integer of 8 bytes', item: bigInteger(0x420020, -(2n ** 63n)), bytes: '42 00 20 | 04 | 00 00 00 08 | 80 00 00 00 00 00 00 00' },
  { what: 'one less than that', item: bigInteger(0x420020, -(2n ** 63n) - 1n), bytes: '42 00 20 | 04 | 00 00 00 10 | FF FF FF FF FF FF FF FF 7F FF FF FF FF FF FF FF' },
  { what: 'the largest Enumeration', item: enumeration(0x420020, 2 ** 32 - 1), bytes: '42 00 20 | 05 | 00 00 00 04 | FF FF FF FF 00 00 00 00' },
  { what: 'a Boolean of false', item: boolean(0x420020, false), bytes: '42 00 20 | 06 | 00 00 00 08 | 00 00 00 00 00 00 00 00' },
  { what: 'an empty Text String', item: textString(0x420020, ''), bytes: '42 00 20 | 07 | 00 00 00 00' },
  { what: 'a Text String of exactly 8 bytes', item: textString(0x420020, '12345678'), bytes: '42 00 20 | 07 | 00 00 00 08 | 31 32 33 34 35 36 37 38' },
  { what: 'a Text String of 1, 2, 3 and 4 bytes a character', item: textString(0x420020, 'a\u00e9\u20ac\u{1f511}'), bytes: '42 00 20 | 07 | 00 00 00 0A | 61 C3 A9 E2 82 AC F0 9F 94 91 00 00 00 00 00 00' },
  { what: 'a Text String that begins with U+FEFF', item: textString(0x420020, '\ufeffa'), bytes: '42 00 20 | 07 | 00 00 00 04 | EF BB BF 61 00 00 00 00' },
  { what: 'a Text String with U+0000 inside', item: textString(0x420020, 'a\0b'), bytes: '42 00 20 | 07 | 00 00 00 03 | 61 00 62 00 00 00 00 00' },
  { what: 'an empty Byte String', item: byteString(0x420020, new Uint8Array(0)), bytes: '42 00 20 | 08 | 00 00 00 00' },
  { what: 'a Byte String of exactly 8 bytes', item: byteString(0x420020, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), bytes: '42 00 20 | 08 | 00 00 00 08 | 01 02 03 04 05 06 07 08' },
  { what: 'a Byte String of 9 bytes', item: byteString(0x420020, new Uint8Array(9).fill(255)), bytes: '42 00 20 | 08 | 00 00 00 09 | FF FF FF FF FF FF FF FF FF 00 00 00 00 00 00 00' },
  { what: 'a Date-Time before 1970', item: dateTime(0x420020, -1n), bytes: '42 00 20 | 09 | 00 00 00 08 | FF FF FF FF FF FF FF FF' },
  { what: 'the longest Interval', item: interval(0x420020, 2 ** 32 - 1), bytes: '42 00 20 | 0A | 00 00 00 04 | FF FF FF FF 00 00 00 00' },
  { what: 'a Date-Time Extended, to the microsecond', item: dateTimeExtended(0x420020, 1_205_495_800_000_001n), bytes: '42 00 20 | 0B | 00 00 00 08 | 00 04 48 64 5C EF EE 01' },
] /* prettier-ignore */ // one case a line

describe.each([
  { source: 'KMIP 1.4 §9.1.2', vectors: specification },
  { source: 'the ends of the ranges', vectors: edges },
])('$source', ({ vectors }) => {
  it.each(vectors)('$what', ({ item, bytes }) => {
    expect(encode(item)).toEqual(hex(bytes))
    expect(decode(hex(bytes))).toStrictEqual(item)
  })
})

describe('the codec reads and writes an exchange with PyKMIP:', () => {
  it.each(goldenExchanges)('$label', ({ request, response }) => {
    for (const bytes of [request, response]) expect(encode(decode(bytes))).toEqual(bytes)
  })
})

describe('decode takes a value in its second spelling:', () => {
  it.each([
    { bytes: '42 00 20 | 04 | 00 00 00 10 | 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 05', value: 5n },
    { bytes: '42 00 20 | 04 | 00 00 00 10 | FF FF FF FF FF FF FF FF FF FF FF FF FF FF FF FB', value: -5n },
  ])('Big Integer $value with needless sign extension', ({ bytes, value }) => {
    expect(decode(hex(bytes))).toStrictEqual(bigInteger(0x420020, value))
  })
})

describe('a decoded Byte String', () => {
  it('is a view into the bytes, also where those are a view themselves', () => {
    const bytes = new Uint8Array(40).fill(0xee)
    bytes.set(encode(byteString(0x420020, Uint8Array.of(1, 2, 3))), 5)
    const item = decode(bytes.subarray(5, 21))
    if (item.type !== 'ByteString') throw new Error('not a Byte String')
    expect(item.value).toEqual(Uint8Array.of(1, 2, 3))
    bytes.fill(0)
    expect(item.value).toEqual(Uint8Array.of(0, 0, 0))
  })

  it('is not changed by encoding, and shares nothing with the result', () => {
    const value = Uint8Array.of(1, 2, 3)
    encode(byteString(0x420020, value)).fill(0)
    expect(value).toEqual(Uint8Array.of(1, 2, 3))
  })
})
