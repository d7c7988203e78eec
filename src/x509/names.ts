import { isUtf8 } from 'node:buffer'
import { context, DerError, DerReader, elementsOf, tags, type Element } from './der.ts'

const COMMON_NAME = '2.5.4.3'
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

/** A relative distinguished name. */
export interface Rdn {
  /** Equal for matching names. */
  readonly key: string
  /** The types of its attributes. */
  readonly types: string
  /** True if a value can be compared only byte by byte. */
  readonly isOpaque: boolean
}

/**
 * A distinguished name in the form in which RFC 5280 section 7.1 compares names: ignoring case and extra white space.
 */
export interface Name {
  readonly rdns: readonly Rdn[]
  /** A key of the whole name: equal for matching names. */
  readonly key: string
  /** As written; without those that cannot be read. */
  readonly commonNames: readonly string[]
  readonly emailAddresses: readonly string[]
  /** The values in their order, as the issuer wrote them. For people. */
  readonly text: string
}

/**
 * @param content of a `Name`
 * @throws DerError
 */
export function nameOf(content: Buffer): Name {
  const rdns: Rdn[] = []
  const commonNames: string[] = []
  const emailAddresses: string[] = []
  const values: string[] = []
  let count = 0
  for (const rdn of elementsOf(content, MAX_ATTRIBUTES)) {
    const attributes = [...elementsOf(rdn.content, MAX_ATTRIBUTES)].map(attributeOf)
    for (const { type, text } of attributes) {
      if (text !== undefined) values.push(text)
      if (type === COMMON_NAME) commonNames.push(text ?? '')
      if (type === EMAIL_ADDRESS) emailAddresses.push(text ?? '')
    }
    rdns.push(rdnOf(attributes))
    count += attributes.length
    if (count > MAX_ATTRIBUTES) throw new DerError(`a name has more than ${MAX_ATTRIBUTES} attributes`)
  }
  let key: string | undefined
  return {
    rdns,
    get key() {
      return (key ??= keyOf(rdns))
    },
    commonNames,
    emailAddresses,
    text: values.join(', '),
  }
}

export const keyOf = (rdns: readonly Rdn[]): string => JSON.stringify(rdns.map(({ key }) => key))

interface Attribute {
  readonly type: string
  /** The text as written, if its string type can be read. */
  readonly text: string | undefined
  readonly value: Element
}

/** How an attribute is compared. Prepared when it is compared, which most names never are. */
interface Compared {
  readonly key: string
  readonly isOpaque: boolean
}

function attributeOf({ content }: Element): Attribute {
  const reader = new DerReader(content)
  const type = reader.oid()
  const value = reader.next()
  return { type, text: textOf(value), value }
}

function comparedAs({ type, text, value }: Attribute): Compared {
  const compared = text === undefined || !isSettled(value.tag, text) ? undefined : prepared(text)
  const isOpaque = compared === undefined
  return { key: JSON.stringify([type, compared ?? value.encoding.toString('hex'), isOpaque]), isOpaque }
}

function rdnOf(attributes: readonly Attribute[]): Rdn {
  const sorted = (texts: readonly string[]) => (texts.length === 1 ? (texts[0] ?? '') : texts.toSorted().join())
  let known: Compared | undefined
  const compared = (): Compared => {
    if (known !== undefined) return known
    const all = attributes.map(comparedAs)
    return (known = { key: sorted(all.map(({ key }) => key)), isOpaque: all.some(({ isOpaque }) => isOpaque) })
  }
  return {
    types: sorted(attributes.map(({ type }) => type)),
    get key() {
      return compared().key
    },
    get isOpaque() {
      return compared().isOpaque
    },
  }
}

/** The text of a string type. Undefined for any other type, and for invalid strings. */
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

/** Only Unicode defines letters beyond ASCII: TeletexString leaves them open, and the other types have none. */
const isSettled = (tag: number, text: string): boolean =>
  tag === tags.utf8String || tag === 0x1c || tag === 0x1e || isAscii(text)

/** More than any real name has, and the most relative names. */
const MAX_ATTRIBUTES = 64
const MAX_NORMALIZED = 64
/** Characters that RFC 4518 section 2.2 maps to nothing, according to present Unicode: invisible ones. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}\u1806\ufffc]|(?![\t-\r\u0085])\p{Cc}/gu
/**
 * Characters that section 2.4 prohibits: unassigned code points, private use, and code points that are not characters.
 */
const PROHIBITED = /[\p{Cn}\p{Co}\p{Cs}\ufffd]/u

/**
 * Prepares a string for comparison as in RFC 4518, as far as certificates need it. Undefined for a string that cannot
 * be compared. Normalization takes quadratic time for a text of combining marks, so a long text that is not ASCII
 * cannot be compared.
 */
function prepared(text: string): string | undefined {
  const visible = text.replaceAll(INVISIBLE, '')
  if (isAscii(visible)) return folded(visible)
  if (visible.length > MAX_NORMALIZED || PROHIBITED.test(visible)) return undefined
  const wide = visible.normalize('NFKC')
  // No real name grows that much; only one that was made to take long does.
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
  /** An address; in name constraints, an address and a mask. */
  | { readonly kind: 'ip'; readonly bytes: Buffer }
  | { readonly kind: 'other'; readonly tag: number; readonly bytes: Buffer }

/**
 * More than any real issuer or distribution point has. With the most points of a certificate, it bounds the time that
 * they take.
 */
const MAX_GENERAL_NAMES = 16

/** The members of a `GeneralNames` (RFC 5280 section 4.2.1.6) that names an issuer or a distribution point. */
export const generalNamesOf = (content: Buffer): GeneralName[] =>
  [...elementsOf(content, MAX_GENERAL_NAMES)].map(generalNameOf)

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

/** Whether two general names are equal, as distribution points compare them. */
export function isSameName(one: GeneralName, other: GeneralName): boolean {
  if (one.kind === 'directory') return other.kind === 'directory' && one.name.key === other.name.key
  if ('text' in one) return 'text' in other && one.kind === other.kind && one.text === other.text
  return 'bytes' in other && one.kind === other.kind && one.bytes.equals(other.bytes)
}
