import { child, enumeration, integer, structure, textString, dateTime, type Item } from '../../ttlv-codec/src/index.ts'
import { LINK_PUBLIC_KEY, NAME_UNINTERPRETED_TEXT, tag } from './numbers.ts'
import { ReplyMismatch, type Structure } from './operation.ts'
import { isVersion2, type KmipVersion } from './version.ts'

/** The attributes that are read or set here, with their KMIP 1.x names (KMIP 1.4 §3). */
const attributeNames = {
  ActivationDate: 'Activation Date',
  CryptographicAlgorithm: 'Cryptographic Algorithm',
  CryptographicLength: 'Cryptographic Length',
  CryptographicUsageMask: 'Cryptographic Usage Mask',
  DeactivationDate: 'Deactivation Date',
  InitialDate: 'Initial Date',
  Link: 'Link',
  Name: 'Name',
  ObjectType: 'Object Type',
  ProcessStartDate: 'Process Start Date',
  ProtectStopDate: 'Protect Stop Date',
  State: 'State',
} as const satisfies Partial<Record<keyof typeof tag, string>>

export type AttributeName = keyof typeof attributeNames

/** An attribute's value under the attribute's own tag, as in KMIP 2.x. */
export const attribute = {
  activationDate: (date: Date): Item => dateTime(tag.ActivationDate, seconds(date)),
  algorithm: (value: number): Item => enumeration(tag.CryptographicAlgorithm, value),
  deactivationDate: (date: Date): Item => dateTime(tag.DeactivationDate, seconds(date)),
  length: (bits: number): Item => integer(tag.CryptographicLength, bits),
  name: (value: string): Item =>
    structure(tag.Name, [textString(tag.NameValue, value), enumeration(tag.NameType, NAME_UNINTERPRETED_TEXT)]),
  objectType: (value: number): Item => enumeration(tag.ObjectType, value),
  usageMask: (value: number): Item => integer(tag.CryptographicUsageMask, value),
}

const seconds = (date: Date): bigint => BigInt(Math.floor(date.getTime() / 1000))

const nameOfTag: ReadonlyMap<number, string> = new Map(
  Object.entries(attributeNames).map(([name, text]) => [tag[name as AttributeName], text]),
)
const tagOfName: ReadonlyMap<string, number> = new Map([...nameOfTag].map(([number, text]) => [text, number]))

/** The values as KMIP 1.x carries them: each inside an Attribute with its name as text (KMIP 1.4 §2.1.1). */
export const versionOneAttributes = (values: readonly Item[]): readonly Item[] =>
  values.map((value) =>
    structure(tag.Attribute, [
      textString(tag.AttributeName, nameOfTag.get(value.tag) ?? ''),
      { ...value, tag: tag.AttributeValue },
    ]),
  )

/** The names for GetAttributes. 1.x: text; 2.x: the tag as an enumeration (KMIP 2.1 §6.1.18). */
export const attributeReferences = (names: readonly AttributeName[], version: KmipVersion): readonly Item[] =>
  names.map((name) =>
    isVersion2(version)
      ? enumeration(tag.AttributeReference, tag[name])
      : textString(tag.AttributeName, attributeNames[name]),
  )

/** The known attributes of an object. Undefined: the server did not return it. */
export interface ObjectAttributes {
  readonly objectType?: number
  readonly algorithm?: number
  readonly bits?: number
  readonly usageMask?: number
  readonly state?: number
  readonly names: readonly string[]
  /** The unique identifier of the public key that belongs to a private key. */
  readonly publicKeyId?: string
  readonly initialDate?: Date
  readonly activationDate?: Date
  readonly deactivationDate?: Date
  readonly processStartDate?: Date
  readonly protectStopDate?: Date
}

/** Reads the reply to GetAttributes, in the form of KMIP 1.x or 2.x. */
export function readAttributes(payload: Structure, version: KmipVersion): ObjectAttributes {
  const values = isVersion2(version)
    ? (child(payload, tag.Attributes, 'Structure')?.value ?? [])
    : attributeValues(payload)
  const read: { -readonly [Name in keyof ObjectAttributes]: ObjectAttributes[Name] } & { names: string[] } = {
    names: [],
  }
  for (const value of values) {
    switch (value.tag) {
      case tag.ObjectType:
        read.objectType = numberOf(value)
        break
      case tag.CryptographicAlgorithm:
        read.algorithm = numberOf(value)
        break
      case tag.CryptographicLength:
        read.bits = numberOf(value)
        break
      case tag.CryptographicUsageMask:
        read.usageMask = numberOf(value)
        break
      case tag.State:
        read.state = numberOf(value)
        break
      case tag.InitialDate:
        read.initialDate = dateOf(value)
        break
      case tag.ActivationDate:
        read.activationDate = dateOf(value)
        break
      case tag.DeactivationDate:
        read.deactivationDate = dateOf(value)
        break
      case tag.ProcessStartDate:
        read.processStartDate = dateOf(value)
        break
      case tag.ProtectStopDate:
        read.protectStopDate = dateOf(value)
        break
      case tag.Name:
        read.names.push(textOf(value, tag.NameValue))
        break
      case tag.Link:
        if (linkType(value) === LINK_PUBLIC_KEY) read.publicKeyId = textOf(value, tag.LinkedObjectIdentifier)
        break
      default:
      // Servers return more attributes than were requested.
    }
  }
  return read
}

/** The reverse of {@link versionOneAttributes}. Unknown attributes are left out. */
export function attributeValues(holder: Structure): Item[] {
  return holder.value.flatMap((item) => {
    if (item.tag !== tag.Attribute || item.type !== 'Structure') return []
    const number = tagOfName.get(child(item, tag.AttributeName, 'TextString')?.value ?? '')
    const value = item.value.find((member) => member.tag === tag.AttributeValue)
    return number === undefined || value === undefined ? [] : [{ ...value, tag: number }]
  })
}

function numberOf(item: Item): number {
  if (item.type === 'Integer' || item.type === 'Enumeration') return item.value
  throw new ReplyMismatch('an attribute of the wrong type')
}

function dateOf(item: Item): Date {
  if (item.type === 'DateTime') return new Date(Number(item.value) * 1000)
  if (item.type === 'DateTimeExtended') return new Date(Number(item.value / 1000n))
  throw new ReplyMismatch('a date of the wrong type')
}

function textOf(item: Item, member: number): string {
  const text = item.type === 'Structure' ? child(item, member, 'TextString')?.value : undefined
  if (text === undefined) throw new ReplyMismatch('an attribute without its text')
  return text
}

const linkType = (item: Item): number | undefined =>
  item.type === 'Structure' ? child(item, tag.LinkType, 'Enumeration')?.value : undefined
