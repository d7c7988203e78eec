import { createPublicKey, type KeyObject } from 'node:crypto'
import { keyFormat, objectType, state, tag } from '../../../adapters/kmip/protocol/numbers.ts'
import {
  child,
  dateTime,
  enumeration,
  integer,
  structure,
  textString,
  type Item,
  type ItemOf,
} from '../../../adapters/ttlv-codec/src/index.ts'

export interface StoredObject {
  readonly id: string
  readonly type: number
  readonly format: number
  readonly material: Uint8Array
  /** Values under the attributes' own tags, without State. */
  readonly attributes: Item[]
  state: number
}

/** The objects of a test server, in memory. */
export class ObjectStore {
  readonly #objects = new Map<string, StoredObject>()
  #next = 1

  add(object: Omit<StoredObject, 'id' | 'state'>): StoredObject {
    const id = `object-${this.#next++}`
    const stored: StoredObject = {
      ...object,
      id,
      state: state.PreActive,
      attributes: [...object.attributes, dateTime(tag.InitialDate, BigInt(Math.floor(Date.now() / 1000)))],
    }
    this.#objects.set(id, stored)
    return stored
  }

  find(id: string): StoredObject | undefined {
    return this.#objects.get(id)
  }

  all(): StoredObject[] {
    return [...this.#objects.values()]
  }

  remove(id: string): void {
    this.#objects.delete(id)
  }
}

/**
 * Applies the dates as of now: a past Activation Date activates, and a past Deactivation Date deactivates (KMIP 1.4
 * §3.22).
 */
export function stateOf(object: StoredObject): number {
  const now = BigInt(Math.floor(Date.now() / 1000))
  const date = (wanted: number) => {
    const found = object.attributes.find((item) => item.tag === wanted)
    return found?.type === 'DateTime' ? found.value : undefined
  }
  const [activation, deactivation] = [date(tag.ActivationDate), date(tag.DeactivationDate)]
  if (object.state === state.PreActive && activation !== undefined && activation <= now) object.state = state.Active
  if (object.state === state.Active && deactivation !== undefined && deactivation <= now) {
    object.state = state.Deactivated
  }
  return object.state
}

export const attributesOf = (object: StoredObject): Item[] => [
  textString(tag.UniqueIdentifier, object.id),
  enumeration(tag.ObjectType, object.type),
  enumeration(tag.State, stateOf(object)),
  ...object.attributes,
]

export const numberAttribute = (object: StoredObject, wanted: number): number | undefined => {
  const found = object.attributes.find((item) => item.tag === wanted)
  return found?.type === 'Integer' || found?.type === 'Enumeration' ? found.value : undefined
}

export const linkTo = (type: number, id: string): Item =>
  structure(tag.Link, [enumeration(tag.LinkType, type), textString(tag.LinkedObjectIdentifier, id)])

const objectTags = new Map<number, number>([
  [objectType.SymmetricKey, tag.SymmetricKey],
  [objectType.PublicKey, tag.PublicKey],
  [objectType.PrivateKey, tag.PrivateKey],
])

/** The object as Get returns it. */
export function managedObject(object: StoredObject, publicFormat: PublicFormat): Item {
  const { format, material } =
    object.type === objectType.PublicKey
      ? publicKeyIn(publicFormat, object)
      : { format: object.format, material: bytesItem(object.material) }
  return structure(objectTags.get(object.type) ?? 0, [
    structure(tag.KeyBlock, [
      enumeration(tag.KeyFormatType, format),
      structure(tag.KeyValue, [material]),
      enumeration(tag.CryptographicAlgorithm, numberAttribute(object, tag.CryptographicAlgorithm) ?? 0),
      integer(tag.CryptographicLength, numberAttribute(object, tag.CryptographicLength) ?? 0),
    ]),
  ])
}

/** The encodings in which servers return public keys. */
export type PublicFormat = 'PKCS1' | 'X509' | 'transparent'

function publicKeyIn(wanted: PublicFormat, object: StoredObject): { format: number; material: Item } {
  const key = publicKeyOf(object)
  if (wanted !== 'transparent') {
    const type = wanted === 'PKCS1' ? 'pkcs1' : 'spki'
    return { format: keyFormat[wanted], material: bytesItem(key.export({ format: 'der', type })) }
  }
  const { n = '', e = '' } = key.export({ format: 'jwk' })
  const number = (text: string) => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`)
  return {
    format: keyFormat.TransparentRsaPublic,
    material: structure(tag.KeyMaterial, [
      { tag: tag.Modulus, type: 'BigInteger', value: number(n) },
      { tag: tag.PublicExponent, type: 'BigInteger', value: number(e) },
    ]),
  }
}

/** Converts by way of a JWK: Node.js 24 cannot encode as PKCS#1 what it has read as PKCS#1. */
function publicKeyOf({ material, format }: StoredObject): KeyObject {
  const type = format === keyFormat.PKCS1 ? 'pkcs1' : 'spki'
  const key = createPublicKey({ key: Buffer.from(material), format: 'der', type })
  return createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' })
}

const bytesItem = (value: Uint8Array): ItemOf<'ByteString'> => ({ tag: tag.KeyMaterial, type: 'ByteString', value })

export const nameOf = (item: Item): string =>
  item.type === 'Structure' ? (child(item, tag.NameValue, 'TextString')?.value ?? '') : ''
