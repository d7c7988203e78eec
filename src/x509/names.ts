import { context, DerError, DerReader, elementsOf, tags, type Element } from './der.ts'

const COMMON_NAME = '2.5.4.3'
const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

/** A distinguished name, in the form in which RFC 5280 section 7.1 compares names: without case and extra white space. */
export interface Name {
  /** Each relative distinguished name, as one text. */
  readonly rdns: readonly string[]
  /** The whole name: equal for names that match. */
  readonly key: string
  /** As they are written. */
  readonly commonNames: readonly string[]
  readonly emailAddresses: readonly string[]
  /** For people: the values, in their order. It is as its issuer wrote it. */
  readonly text: string
}

/** The content of a `Name`. Throws a {@link DerError}. */
export function nameOf(content: Buffer): Name {
  const rdns: string[] = []
  const commonNames: string[] = []
  const emailAddresses: string[] = []
  const values: string[] = []
  for (const rdn of elementsOf(content)) {
    const attributes: string[] = []
    for (const attribute of elementsOf(rdn.content)) {
      const reader = new DerReader(attribute.content)
      const type = reader.oid()
      const value = reader.next()
      const text = textOf(value)
      if (text !== undefined) values.push(text)
      if (type === COMMON_NAME) commonNames.push(text ?? '')
      if (type === EMAIL_ADDRESS && text !== undefined) emailAddresses.push(text)
      attributes.push(JSON.stringify([type, text === undefined ? value.encoding.toString('hex') : prepared(text)]))
    }
    rdns.push(attributes.sort().join())
    if (rdns.length > MAX_RDNS) throw new DerError(`a name has more than ${MAX_RDNS} parts`)
  }
  return { rdns, key: JSON.stringify(rdns), commonNames, emailAddresses, text: values.join(', ') }
}

/** Of a string type of `DirectoryString`, or IA5String; `undefined` for any other. */
function textOf({ tag, content }: Element): string | undefined {
  switch (tag) {
    case tags.utf8String:
      return content.toString('utf8')
    case 0x13: // PrintableString
    case 0x14: // TeletexString
    case 0x16: // IA5String
      return content.toString('latin1')
    case 0x1e: // BMPString
      return content.length % 2 === 0 ? Buffer.from(content).swap16().toString('utf16le') : undefined
    default:
      return undefined
  }
}

/** Longer names than anybody has (X.520 allows 64 characters for a common name). */
const MAX_RDNS = 64
const MAX_NORMALIZED = 64

/**
 * RFC 4518 as far as certificates use it. Normalization takes the square of a text's length, if it is made of combining marks:
 * a long text that is not ASCII is compared as it is.
 */
function prepared(text: string): string {
  const isAscii = Buffer.byteLength(text) === text.length
  if (!isAscii && text.length > MAX_NORMALIZED) return text
  const folded = isAscii ? text.toLowerCase() : text.normalize('NFKC').toLowerCase().normalize('NFKC')
  return folded.trim().replaceAll(/\s+/g, ' ')
}

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
