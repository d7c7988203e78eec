import fc from 'fast-check'
import type { Item, ItemOf } from '../src/index.ts'

const tag = fc.oneof(fc.integer({ min: 0x42_0000, max: 0x42_ffff }), fc.integer({ min: 0x54_0000, max: 0x54_ffff }))
const plain = { noNullPrototype: true } as const
const uint32 = fc.nat({ max: 0xffff_ffff })
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' })).filter((value) => !value.endsWith('\0'))
const bigInteger = fc.oneof(
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
  // Bounds at which a Big Integer needs 8 more bytes for its sign.
  fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.bigInt({ min: -2n, max: 2n }), fc.boolean())
    .map(([bytes, off, negative]) => (negative ? -1n : 1n) * (2n ** BigInt(8 * bytes - (bytes > 0 ? 1 : 0)) + off)),
)

const leaf: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ tag, type: fc.constant('Integer' as const), value: fc.integer() }, plain),
  fc.record({ tag, type: fc.constant('LongInteger' as const), value: int64 }, plain),
  fc.record({ tag, type: fc.constant('BigInteger' as const), value: bigInteger }, plain),
  fc.record({ tag, type: fc.constant('Enumeration' as const), value: uint32 }, plain),
  fc.record({ tag, type: fc.constant('Boolean' as const), value: fc.boolean() }, plain),
  fc.record({ tag, type: fc.constant('TextString' as const), value: text }, plain),
  fc.record({ tag, type: fc.constant('ByteString' as const), value: fc.uint8Array({ maxLength: 70 }) }, plain),
  fc.record({ tag, type: fc.constant('DateTime' as const), value: int64 }, plain),
  fc.record({ tag, type: fc.constant('Interval' as const), value: uint32 }, plain),
  fc.record({ tag, type: fc.constant('DateTimeExtended' as const), value: int64 }, plain),
)

/** A tree of any type within the default limits. */
export const anyItem: fc.Arbitrary<Item> = fc.letrec<{ item: Item; structure: ItemOf<'Structure'> }>((tie) => ({
  item: fc.oneof({ maxDepth: 6, withCrossShrink: true }, leaf, tie('structure')),
  structure: fc.record(
    {
      tag,
      type: fc.constant('Structure' as const),
      value: fc.array(tie('item'), { maxLength: 6 }),
    },
    plain,
  ),
})).item

/** A tree whose root is a Structure, as in a message. */
export const anyMessage: fc.Arbitrary<Item> = fc.record(
  {
    tag,
    type: fc.constant('Structure' as const),
    value: fc.array(anyItem, { maxLength: 6 }),
  },
  plain,
)

export const fuzzRuns = Number(process.env['EKM_FUZZ_RUNS'] ?? 500)
