import fc from 'fast-check';
const tag = fc.oneof(fc.integer({ min: 0x42_0000, max: 0x42_ffff }), fc.integer({ min: 0x54_0000, max: 0x54_ffff }));
const plain = { noNullPrototype: true };
const uint32 = fc.nat({ max: 0xffff_ffff });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' })).filter((value) => !value.endsWith('\0'));
const bigInteger = fc.oneof(fc.bigInt(), fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), 
// Around the places where another 8 bytes are needed for the sign.
fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.bigInt({ min: -2n, max: 2n }), fc.boolean())
    .map(([bytes, off, negative]) => (negative ? -1n : 1n) * (2n ** BigInt(8 * bytes - (bytes > 0 ? 1 : 0)) + off)));
const leaf = fc.oneof(fc.record({ tag, type: fc.constant('Integer'), value: fc.integer() }, plain), fc.record({ tag, type: fc.constant('LongInteger'), value: int64 }, plain), fc.record({ tag, type: fc.constant('BigInteger'), value: bigInteger }, plain), fc.record({ tag, type: fc.constant('Enumeration'), value: uint32 }, plain), fc.record({ tag, type: fc.constant('Boolean'), value: fc.boolean() }, plain), fc.record({ tag, type: fc.constant('TextString'), value: text }, plain), fc.record({ tag, type: fc.constant('ByteString'), value: fc.uint8Array({ maxLength: 70 }) }, plain), fc.record({ tag, type: fc.constant('DateTime'), value: int64 }, plain), fc.record({ tag, type: fc.constant('Interval'), value: uint32 }, plain), fc.record({ tag, type: fc.constant('DateTimeExtended'), value: int64 }, plain));
/** Any tree within the default limits. */
export const anyItem = fc.letrec((tie) => ({
    item: fc.oneof({ maxDepth: 6, withCrossShrink: true }, leaf, tie('structure')),
    structure: fc.record({
        tag,
        type: fc.constant('Structure'),
        value: fc.array(tie('item'), { maxLength: 6 }),
    }, plain),
})).item;
/** Any tree that can be a message: a Structure. */
export const anyMessage = fc.record({
    tag,
    type: fc.constant('Structure'),
    value: fc.array(anyItem, { maxLength: 6 }),
}, plain);
export const fuzzRuns = Number(process.env['EKM_FUZZ_RUNS'] ?? 500);
