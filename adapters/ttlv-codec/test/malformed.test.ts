import { describe, expect, it } from 'vitest'
import { byteString, decode, encode, structure, textString, type Item, type Limits } from '../src/index.ts'
import { failureOf } from './failure.ts'
import { golden } from './golden.ts'
import { hex } from './hex.ts'

interface Malformed {
  readonly what: string
  readonly bytes: string
  readonly code: string
  readonly offset: number
}

const header = '42 00 78 | 01 |'

const malformed: readonly Malformed[] = [
  { what: 'nothing', bytes: '', code: 'TRUNCATED', offset: 0 },
  { what: 'half a header', bytes: '42 00 20 | 02', code: 'TRUNCATED', offset: 4 },
  { what: 'a header without its value', bytes: '42 00 20 | 02 | 00 00 00 04', code: 'TRUNCATED', offset: 8 },
  { what: 'a value without its padding', bytes: '42 00 20 | 02 | 00 00 00 04 | 00 00 00 08', code: 'TRUNCATED', offset: 12 },
  { what: 'a Byte String that claims 4 GiB', bytes: '42 00 20 | 08 | FF FF FF FF | 00 00 00 00 00 00 00 00', code: 'TRUNCATED', offset: 16 },
  { what: 'a Structure that claims 4 GiB', bytes: '42 00 20 | 01 | FF FF FF F8 | 42 00 20 | 01 | 00 00 00 00', code: 'TRUNCATED', offset: 16 },
  { what: 'a Byte String without its padding', bytes: '42 00 20 | 08 | 00 00 00 01 | 01', code: 'TRUNCATED', offset: 9 },
  { what: 'a second item', bytes: '42 00 20 | 01 | 00 00 00 00 | 42 00 20 | 01 | 00 00 00 00', code: 'TRAILING', offset: 8 },
  { what: 'one more byte', bytes: '42 00 20 | 01 | 00 00 00 00 | 00', code: 'TRAILING', offset: 8 },
  { what: 'a tag of 41', bytes: '41 00 20 | 01 | 00 00 00 00', code: 'TAG_INVALID', offset: 0 },
  { what: 'a tag of 43', bytes: '43 00 20 | 01 | 00 00 00 00', code: 'TAG_INVALID', offset: 0 },
  { what: 'the answer of a web server', bytes: '48 54 54 50 2F 31 2E 31 20 34 30 30', code: 'TAG_INVALID', offset: 0 },
  { what: 'a tag of zero in a child', bytes: `${header} 00 00 00 08 | 00 00 00 | 01 | 00 00 00 00`, code: 'TAG_INVALID', offset: 8 },
  { what: 'type 0', bytes: '42 00 20 | 00 | 00 00 00 00', code: 'TYPE_INVALID', offset: 3 },
  { what: 'type 12', bytes: '42 00 20 | 0C | 00 00 00 00', code: 'TYPE_INVALID', offset: 3 },
  { what: 'type 255', bytes: '42 00 20 | FF | 00 00 00 00', code: 'TYPE_INVALID', offset: 3 },
  { what: 'an Integer of no bytes', bytes: '42 00 20 | 02 | 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'an Integer of 8 bytes', bytes: '42 00 20 | 02 | 00 00 00 08 | 00 00 00 00 00 00 00 01', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Long Integer of 4 bytes', bytes: '42 00 20 | 03 | 00 00 00 04 | 00 00 00 01 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Big Integer of no bytes', bytes: '42 00 20 | 04 | 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Big Integer of 9 bytes', bytes: '42 00 20 | 04 | 00 00 00 09 | 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'an Enumeration of 2 bytes', bytes: '42 00 20 | 05 | 00 00 00 02 | 00 01 00 00 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Boolean of 1 byte', bytes: '42 00 20 | 06 | 00 00 00 01 | 01 00 00 00 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Date-Time of 4 bytes', bytes: '42 00 20 | 09 | 00 00 00 04 | 00 00 00 01 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'an Interval of 8 bytes', bytes: '42 00 20 | 0A | 00 00 00 08 | 00 00 00 01 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Date-Time Extended of 16 bytes', bytes: '42 00 20 | 0B | 00 00 00 10 | 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00', code: 'LENGTH_INVALID', offset: 4 },
  { what: 'a Structure of 9 bytes', bytes: `${header} 00 00 00 09 | 42 00 20 | 01 | 00 00 00 00 | 00`, code: 'CHILD_OVERRUN', offset: 16 },
  { what: 'a child whose header is cut off by its Structure', bytes: `${header} 00 00 00 04 | 42 00 20 | 01 | 00 00 00 00`, code: 'CHILD_OVERRUN', offset: 8 },
  { what: 'a child Structure that ends after its parent', bytes: `${header} 00 00 00 08 | 42 00 20 | 01 | 00 00 00 08 | 42 00 20 | 01 | 00 00 00 00`, code: 'CHILD_OVERRUN', offset: 12 },
  { what: 'a child Integer that ends after its parent', bytes: `${header} 00 00 00 0C | 42 00 20 | 02 | 00 00 00 04 | 00 00 00 01 00 00 00 00`, code: 'CHILD_OVERRUN', offset: 12 },
  { what: 'a child Byte String that ends after its parent', bytes: `${header} 00 00 00 08 | 42 00 20 | 08 | 00 00 00 08 | 00 00 00 00 00 00 00 00`, code: 'CHILD_OVERRUN', offset: 12 },
  { what: 'padding of an Integer that is not zero', bytes: '42 00 20 | 02 | 00 00 00 04 | 00 00 00 08 00 00 00 01', code: 'PADDING_INVALID', offset: 15 },
  { what: 'padding of a Text String that is not zero', bytes: '42 00 20 | 07 | 00 00 00 01 | 61 00 20 00 00 00 00 00', code: 'PADDING_INVALID', offset: 10 },
  { what: 'padding of a Byte String that is not zero', bytes: '42 00 20 | 08 | 00 00 00 07 | 01 02 03 04 05 06 07 08', code: 'PADDING_INVALID', offset: 15 },
  { what: 'a Boolean of 2', bytes: '42 00 20 | 06 | 00 00 00 08 | 00 00 00 00 00 00 00 02', code: 'BOOLEAN_INVALID', offset: 8 },
  { what: 'a Boolean of 2^56', bytes: '42 00 20 | 06 | 00 00 00 08 | 01 00 00 00 00 00 00 00', code: 'BOOLEAN_INVALID', offset: 8 },
  { what: 'a Boolean of -1', bytes: '42 00 20 | 06 | 00 00 00 08 | FF FF FF FF FF FF FF FF', code: 'BOOLEAN_INVALID', offset: 8 },
  { what: 'UTF-8 cut off', bytes: '42 00 20 | 07 | 00 00 00 02 | E2 82 00 00 00 00 00 00', code: 'TEXT_INVALID', offset: 8 },
  { what: 'UTF-8 with a lone continuation', bytes: '42 00 20 | 07 | 00 00 00 02 | 61 80 00 00 00 00 00 00', code: 'TEXT_INVALID', offset: 8 },
  { what: 'overlong UTF-8', bytes: '42 00 20 | 07 | 00 00 00 02 | C0 AF 00 00 00 00 00 00', code: 'TEXT_INVALID', offset: 8 },
  { what: 'a surrogate in UTF-8', bytes: '42 00 20 | 07 | 00 00 00 03 | ED A0 80 00 00 00 00 00', code: 'TEXT_INVALID', offset: 8 },
  { what: 'null-terminated text', bytes: '42 00 20 | 07 | 00 00 00 02 | 61 00 00 00 00 00 00 00', code: 'TEXT_INVALID', offset: 8 },
] /* prettier-ignore */ // one case a line

describe('decode refuses', () => {
  it.each(malformed)('$what', ({ bytes, code, offset }) => {
    expect(failureOf(() => decode(hex(bytes)))).toEqual({ code, offset })
  })

  it('long text that is not UTF-8', () => {
    const bytes = encode(textString(0x420020, 'x'.repeat(1000)))
    bytes.fill(0xff, 500, 501)
    expect(failureOf(() => decode(bytes))).toEqual({ code: 'TEXT_INVALID', offset: 8 })
  })

  it('a real message that ends anywhere before its end', () => {
    const { response } = golden('Get 1.4 symmetric key')
    for (let end = 0; end < response.length; end++) {
      expect(failureOf(() => decode(response.subarray(0, end)))).toEqual({ code: 'TRUNCATED', offset: end })
    }
  })
})

describe('encode refuses', () => {
  const inStructure = (item: unknown) => structure(0x420078, [textString(0x420094, '1'), item as Item])

  it.each<{ what: string; item: unknown; code?: string }>([
    { what: 'an Integer that is too large', item: { tag: 0x420020, type: 'Integer', value: 2 ** 31 } },
    { what: 'an Integer that is too small', item: { tag: 0x420020, type: 'Integer', value: -(2 ** 31) - 1 } },
    { what: 'an Integer that is a fraction', item: { tag: 0x420020, type: 'Integer', value: 0.5 } },
    { what: 'an Integer that is NaN', item: { tag: 0x420020, type: 'Integer', value: NaN } },
    { what: 'an Integer that is text', item: { tag: 0x420020, type: 'Integer', value: '1' } },
    { what: 'an Enumeration below zero', item: { tag: 0x420020, type: 'Enumeration', value: -1 } },
    { what: 'an Interval that is too long', item: { tag: 0x420020, type: 'Interval', value: 2 ** 32 } },
    { what: 'a Long Integer that is too large', item: { tag: 0x420020, type: 'LongInteger', value: 2n ** 63n } },
    { what: 'a Date-Time that is a number', item: { tag: 0x420020, type: 'DateTime', value: 1 } },
    { what: 'a Date-Time Extended too early', item: { tag: 0x420020, type: 'DateTimeExtended', value: -(2n ** 64n) } },
    { what: 'a Big Integer that is a number', item: { tag: 0x420020, type: 'BigInteger', value: 1 } },
    { what: 'a Boolean that is a number', item: { tag: 0x420020, type: 'Boolean', value: 1 } },
    { what: 'text with a lone surrogate', item: { tag: 0x420020, type: 'TextString', value: 'a\ud800' } },
    { what: 'text with its surrogates swapped', item: { tag: 0x420020, type: 'TextString', value: '\udc00\ud800a' } },
    { what: 'text that ends in U+0000', item: { tag: 0x420020, type: 'TextString', value: 'a\0' } },
    { what: 'bytes that are text', item: { tag: 0x420020, type: 'ByteString', value: 'abc' } },
    { what: 'bytes that are a list', item: { tag: 0x420020, type: 'ByteString', value: [1, 2, 3] } },
    { what: 'a type that does not exist', item: { tag: 0x420020, type: 'constructor', value: 1 } },
    { what: 'a tag of another block', item: { tag: 0x430020, type: 'Integer', value: 1 }, code: 'TAG_INVALID' },
    { what: 'a tag of four bytes', item: { tag: 0x1_420020, type: 'Integer', value: 1 }, code: 'TAG_INVALID' },
    { what: 'a tag that is a fraction', item: { tag: 0x420020 + 0.5, type: 'Integer', value: 1 }, code: 'TAG_INVALID' },
  ])('$what', ({ item, code = 'VALUE_INVALID' }) => {
    expect(failureOf(() => encode(inStructure(item)))).toEqual({ code, offset: 24 })
  })
})

describe('the codec’s limits', () => {
  const nested = (levels: number): Item =>
    levels === 1 ? structure(0x420078, []) : structure(0x420078, [nested(levels - 1)])
  const wide = (items: number): Item =>
    structure(
      0x420078,
      Array.from({ length: items - 1 }, () => structure(0x42000f, [])),
    )
  const generous = { maxBytes: 2 ** 30, maxDepth: 512, maxItems: 2 ** 30 }

  it.each<{ what: string; limits: Partial<Limits>; fits: Item; exceeds: Item; code: string; at: [number, number] }>([
    { what: 'levels', limits: { maxDepth: 5 }, fits: nested(5), exceeds: nested(6), code: 'TOO_DEEP', at: [40, 40] },
    { what: 'levels by default', limits: {}, fits: nested(32), exceeds: nested(33), code: 'TOO_DEEP', at: [256, 256] },
    { what: 'items', limits: { maxItems: 3 }, fits: wide(3), exceeds: wide(4), code: 'TOO_MANY_ITEMS', at: [24, 24] },
    {
      what: 'items by default',
      limits: {},
      fits: wide(65_536),
      exceeds: wide(65_537),
      code: 'TOO_MANY_ITEMS',
      at: [524_288, 524_288],
    },
    { what: 'bytes', limits: { maxBytes: 16 }, fits: wide(2), exceeds: wide(3), code: 'TOO_LARGE', at: [16, 16] },
    {
      what: 'bytes by default',
      limits: {},
      fits: byteString(0x420020, new Uint8Array(1_048_568)),
      exceeds: byteString(0x420020, new Uint8Array(1_048_569)),
      code: 'TOO_LARGE',
      at: [1_048_576, 0],
    },
  ])(
    'of $what accept exactly that many, in both directions',
    ({ limits, fits, exceeds, code, at: [decoding, encoding] }) => {
      expect(Buffer.compare(encode(decode(encode(fits, limits), limits), limits), encode(fits, generous))).toBe(0)
      expect(failureOf(() => encode(exceeds, limits))).toEqual({ code, offset: encoding })
      expect(failureOf(() => decode(encode(exceeds, generous), limits))).toEqual({ code, offset: decoding })
    },
  )

  it('end a tree that contains itself', () => {
    const children: Item[] = []
    const endless = { tag: 0x420078, type: 'Structure', value: children } as const
    children.push(endless, endless)
    expect(failureOf(() => encode(endless)).code).toBe('TOO_DEEP')
    expect(failureOf(() => encode(endless, { maxDepth: 512, maxItems: 1000 })).code).toMatch(/^TOO_/)
  })

  it.each([{ maxBytes: 7 }, { maxDepth: 0 }, { maxDepth: 513 }, { maxItems: 0 }, { maxItems: 1.5 }, { maxBytes: NaN }])(
    'of %j are a programming error',
    (limits) => {
      expect(() => decode(hex(header), limits)).toThrow(RangeError)
      expect(() => encode(structure(0x420078, []), limits)).toThrow(RangeError)
    },
  )
})

it('an error of the codec repeats no value', () => {
  const bytes = encode(structure(0x420078, [textString(0x4200a1, 'hunter2'), byteString(0x420043, hex('c0ffee'))]))
  bytes.fill(0xc0, bytes.length - 1)
  let message = ''
  try {
    decode(bytes)
  } catch (error) {
    message = String(error) + JSON.stringify(error)
  }
  expect(message).toContain('padding that is not zero (at byte 39)')
  expect(message).not.toMatch(/hunter2|c0ffee/)
})
