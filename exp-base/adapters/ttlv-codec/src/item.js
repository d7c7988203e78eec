/** The item types in the order of their type bytes, which begin at 1 (KMIP 1.4 §9.1.1.2). */
export const itemTypes = [
    'Structure',
    'Integer',
    'LongInteger',
    'BigInteger',
    'Enumeration',
    'Boolean',
    'TextString',
    'ByteString',
    'DateTime',
    'Interval',
    'DateTimeExtended',
];
// No prototype: a type such as `constructor` from outside must find nothing.
const codes = Object.assign(Object.create(null), Object.fromEntries(itemTypes.map((type, index) => [type, index + 1])));
/** The type byte, or 0 for what is no type. */
export const typeCode = (type) => codes[type] ?? 0;
/** KMIP 1.4 §9.1.1.1: the first byte of a tag is 42 or 54, so that what is not TTLV is noticed. */
export const isTag = (tag) => {
    const block = tag >>> 16;
    return (block === 0x42 || block === 0x54) && tag <= 0x54_ffff && Number.isInteger(tag);
};
export const structure = (tag, value) => ({
    tag,
    type: 'Structure',
    value,
});
export const integer = (tag, value) => ({ tag, type: 'Integer', value });
export const longInteger = (tag, value) => ({ tag, type: 'LongInteger', value });
export const bigInteger = (tag, value) => ({ tag, type: 'BigInteger', value });
export const enumeration = (tag, value) => ({ tag, type: 'Enumeration', value });
export const boolean = (tag, value) => ({ tag, type: 'Boolean', value });
export const textString = (tag, value) => ({ tag, type: 'TextString', value });
export const byteString = (tag, value) => ({ tag, type: 'ByteString', value });
/** @param value seconds since 1970-01-01T00:00:00Z */
export const dateTime = (tag, value) => ({ tag, type: 'DateTime', value });
/** @param value seconds */
export const interval = (tag, value) => ({ tag, type: 'Interval', value });
/** @param value microseconds since 1970-01-01T00:00:00Z; KMIP 2.0 and later */
export const dateTimeExtended = (tag, value) => ({
    tag,
    type: 'DateTimeExtended',
    value,
});
/** The first child that has this tag and this type. A child of the tag but of another type is not looked at. */
export function child(parent, tag, type) {
    return parent.value.find((item) => item.tag === tag && item.type === type);
}
