import { isUtf8 } from 'node:buffer'
import { context, DerError, DerReader, elementsOf, tags, type Element } from './der.ts'

const COMMON_NAME = '2.5.4.3'
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

/** A relative distinguished name. */
export interface Rdn {
  /** Equal for what matches. */
  readonly key: string
  /** Of its attributes. */
  readonly types: string
  /** Whether a value cannot be compared, but for being the same bytes. */
  readonly isOpaque: boolean
}

/** A distinguished name, in the form in which RFC 5280 section 7.1 compares names: without case and extra white space. */
export interface Name {
  readonly rdns: readonly Rdn[]
  /** The whole name: equal for names that match. */
  readonly key: string
  /** As they are written; empty for what cannot be read. */
  readonly commonNames: readonly string[]
  readonly emailAddresses: readonly string[]
  /** For people: the values, in their order. It is as its issuer wrote it. */
  readonly text: string
}

/** The content of a `Name`. Throws a {@link DerError}. */
export function nameOf(content: Buffer): Name {
  const rdns: Rdn[] = []
  const commonNames: string[] = []
  const emailAddresses: string[] = []
  const values: string[] = []
  for (const rdn of elementsOf(content)) {
    const attributes = [...elementsOf(rdn.content)].map(attributeOf)
    for (const { type, text } of attributes) {
      if (text !== undefined) values.push(text)
      if (type === COMMON_NAME) commonNames.push(text ?? '')
      if (type === EMAIL_ADDRESS) emailAddresses.push(text ?? '')
    }
    rdns.push(rdnOf(attributes))
    if (rdns.length > MAX_RDNS) throw new DerError(`a name has more than ${MAX_RDNS} parts`)
  }
  return { rdns, key: keyOf(rdns), commonNames, emailAddresses, text: values.join(', ') }
}

export const keyOf = (rdns: readonly Rdn[]): string => JSON.stringify(rdns.map(({ key }) => key))

interface Attribute {
  readonly type: string
  /** As it is written, if its type of string can be read. */
  readonly text: string | undefined
  readonly key: string
  readonly isOpaque: boolean
}

function attributeOf({ content }: Element): Attribute {
  const reader = new DerReader(content)
  const type = reader.oid()
  const value = reader.next()
  const text = textOf(value)
  const compared = text === undefined || !isSettled(value.tag, text) ? undefined : prepared(text)
  const isOpaque = compared === undefined
  return { type, text, key: JSON.stringify([type, compared ?? value.encoding.toString('hex'), isOpaque]), isOpaque }
}

function rdnOf(attributes: readonly Attribute[]): Rdn {
  const sorted = (texts: readonly string[]) => texts.toSorted().join()
  return {
    key: sorted(attributes.map(({ key }) => key)),
    types: sorted(attributes.map(({ type }) => type)),
    isOpaque: attributes.some(({ isOpaque }) => isOpaque),
  }
}

/** Of a type of string; `undefined` for any other, and for what is no such string. */
function textOf({ tag, content }: Element): string | undefined {
  switch (tag) {
    case tags.utf8String:
      return isUtf8(content) ? content.toString('utf8') : undefined
    case 0x12: // NumericString
    case 0x13: // PrintableString
    case 0x14: // TeletexString
    case 0x16: // IA5String
    case 0x1a: // VisibleString
      return content.toString('latin1')
    case 0x1c: // UniversalString
      return ucs4Of(content)
    case 0x1e: // BMPString
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString('utf16le') : undefined
    default:
      return undefined
  }
}

function ucs4Of(content: Buffer): string | undefined {
  if (content.length % 4 !== 0) return undefined
  const points = Array.from({ length: content.length / 4 }, (_, index) => content.readUInt32BE(4 * index))
  return points.every((point) => point <= 0x10ffff)
    ? points.map((point) => String.fromCodePoint(point)).join('')
    : undefined
}

export const isAscii = (text: string): boolean => Buffer.byteLength(text) === text.length

/** Only Unicode settles what letters beyond ASCII are: TeletexString leaves it open, and the others have none. */
const isSettled = (tag: number, text: string): boolean =>
  tag === tags.utf8String || tag === 0x1c || tag === 0x1e || isAscii(text)

/** Longer names than anybody has (X.520 allows 64 characters for a common name). */
const MAX_RDNS = 64
const MAX_NORMALIZED = 64
/** What RFC 4518 section 2.2 maps to nothing, by the Unicode of today: what is not to be seen. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\u1806\ufffc]|(?![\t-\r\u0085])\p{Cc}/gu
/** What section 2.4 prohibits: what is not assigned, or for private use, or no character. */
const PROHIBITED = /[\p{Cn}\p{Co}\p{Cs}\ufffd]/u

/**
 * RFC 4518 as far as certificates use it; `undefined` for what cannot be compared by it. Normalization takes the square of a
 * text's length, if it is made of combining marks: a long text that is not ASCII cannot be compared.
 */
function prepared(text: string): string | undefined {
  const visible = text.replaceAll(INVISIBLE, '')
  if (isAscii(visible)) return folded(visible)
  if (visible.length > MAX_NORMALIZED || PROHIBITED.test(visible)) return undefined
  const wide = visible.normalize('NFKC')
  // Nobody's name becomes so long by it, but one that was made to take long.
  if (wide.length > 4 * MAX_NORMALIZED) return undefined
  return folded(wide).normalize('NFKC').replaceAll('ß', 'ss').replaceAll('ς', 'σ')
}

const folded = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[\s\u0085]+/g, ' ')
    .trim()

export type GeneralName =
  | { readonly kind: 'rfc822' | 'dns' | 'uri'; readonly text: string }
  | { readonly kind: 'directory'; readonly name: Name }
  /** An address; in name constraints address and mask. */
  | { readonly kind: 'ip'; readonly bytes: Buffer }
  | { readonly kind: 'other'; readonly tag: number; readonly bytes: Buffer }

/** The members of a `GeneralNames` (RFC 5280 section 4.2.1.6). */
export const generalNamesOf = (content: Buffer): GeneralName[] => [...elementsOf(content)].map(generalNameOf)

export function generalNameOf({ tag, content }: Element): GeneralName {
  switch (tag) {
    case context(1):
      return { kind: 'rfc822', text: content.toString('latin1') }
    case context(2):
      return { kind: 'dns', text: content.toString('latin1') }
    case context(6):
      return { kind: 'uri', text: content.toString('latin1') }
    case context(7):
      return { kind: 'ip', bytes: content }
    case context(4, true):
      return { kind: 'directory', name: nameOf(new DerReader(content).take(tags.sequence)) }
    default:
      if ((tag & 0xc0) !== 0x80) throw new DerError('a general name has no context-specific tag')
      return { kind: 'other', tag, bytes: content }
  }
}

/** Whether two general names are the same name, as distribution points compare them. */
export function isSameName(one: GeneralName, other: GeneralName): boolean {
  if (one.kind === 'directory') return other.kind === 'directory' && one.name.key === other.name.key
  if ('text' in one) return 'text' in other && one.kind === other.kind && one.text === other.text
  return 'bytes' in other && one.kind === other.kind && one.bytes.equals(other.bytes)
}
