/** The values of the item types, in the form in which the tree holds them (KMIP 1.4 §9.1.1.4, KMIP 2.1 §9.1). */
export interface ItemValue {
  /** Children in the order of the bytes. */
  Structure: readonly Item[]
  /** −2³¹ to 2³¹ − 1. */
  Integer: number
  /** −2⁶³ to 2⁶³ − 1. */
  LongInteger: bigint
  /** Any size; the bytes are the shortest multiple of 8 that holds it in two's complement. */
  BigInteger: bigint
  /** 0 to 2³² − 1. */
  Enumeration: number
  Boolean: boolean
  /** Text without lone surrogates that does not end in U+0000. */
  TextString: string
  /** A decoded value is a view into the decoded bytes; nothing is copied. */
  ByteString: Uint8Array
  /** Seconds since 1970-01-01T00:00:00Z, −2⁶³ to 2⁶³ − 1. */
  DateTime: bigint
  /** Seconds, 0 to 2³² − 1. */
  Interval: number
  /** Microseconds since 1970-01-01T00:00:00Z, −2⁶³ to 2⁶³ − 1. */
  DateTimeExtended: bigint
}

export type ItemType = keyof ItemValue

/** An item of one type. */
export interface ItemOf<Type extends ItemType> {
  /** 0x420000 to 0x42FFFF (standard) or 0x540000 to 0x54FFFF (extensions), KMIP 1.4 §9.1.1.1. */
  readonly tag: number
  readonly type: Type
  readonly value: ItemValue[Type]
}

/** Any item. `switch (item.type)` narrows `item.value`. */
export type Item = { [Type in ItemType]: ItemOf<Type> }[ItemType]

/** The item types in the order of their type bytes, which begin at 1 (KMIP 1.4 §9.1.1.2). */
export const itemTypes: readonly ItemType[] = [
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
]

// Without a prototype, a type such as `constructor` from outside finds nothing.
const codes: Readonly<Record<string, number | undefined>> = Object.assign(
  Object.create(null) as object,
  Object.fromEntries(itemTypes.map((type, index) => [type, index + 1])),
)

/** The type byte; 0 if `type` is not an item type. */
export const typeCode = (type: string): number => codes[type] ?? 0

/** KMIP 1.4 §9.1.1.1: the first byte of a tag is 42 or 54. Input that is not TTLV is noticed by this. */
export const isTag = (tag: number): boolean => {
  const block = tag >>> 16
  return (block === 0x42 || block === 0x54) && tag <= 0x54_ffff && Number.isInteger(tag)
}

export const structure = (tag: number, value: readonly Item[]): ItemOf<'Structure'> => ({
  tag,
  type: 'Structure',
  value,
})
export const integer = (tag: number, value: number): ItemOf<'Integer'> => ({ tag, type: 'Integer', value })
export const longInteger = (tag: number, value: bigint): ItemOf<'LongInteger'> => ({ tag, type: 'LongInteger', value })
export const bigInteger = (tag: number, value: bigint): ItemOf<'BigInteger'> => ({ tag, type: 'BigInteger', value })
export const enumeration = (tag: number, value: number): ItemOf<'Enumeration'> => ({ tag, type: 'Enumeration', value })
export const boolean = (tag: number, value: boolean): ItemOf<'Boolean'> => ({ tag, type: 'Boolean', value })
export const textString = (tag: number, value: string): ItemOf<'TextString'> => ({ tag, type: 'TextString', value })
export const byteString = (tag: number, value: Uint8Array): ItemOf<'ByteString'> => ({ tag, type: 'ByteString', value })
/** @param value seconds since 1970-01-01T00:00:00Z */
export const dateTime = (tag: number, value: bigint): ItemOf<'DateTime'> => ({ tag, type: 'DateTime', value })
/** @param value seconds */
export const interval = (tag: number, value: number): ItemOf<'Interval'> => ({ tag, type: 'Interval', value })
/** @param value microseconds since 1970-01-01T00:00:00Z; KMIP 2.0 and later */
export const dateTimeExtended = (tag: number, value: bigint): ItemOf<'DateTimeExtended'> => ({
  tag,
  type: 'DateTimeExtended',
  value,
})

/**
 * The first child with this tag and this type. A child with the tag but another type is skipped. Undefined if there is
 * none.
 */
export function child<Type extends ItemType>(
  parent: ItemOf<'Structure'>,
  tag: number,
  type: Type,
): ItemOf<Type> | undefined {
  return parent.value.find((item): item is Item & ItemOf<Type> => item.tag === tag && item.type === type)
}
