import { wipeableCopy } from '../../contract/index.ts'
import { child, enumeration, integer, structure, textString, type Item } from '../../ttlv-codec/src/index.ts'
import {
  attributeReferences,
  readAttributes,
  versionOneAttributes,
  type AttributeName,
  type ObjectAttributes,
} from './attributes.ts'
import { objectType, operation, tag } from './numbers.ts'
import { ReplyMismatch, type KmipOperation, type Structure } from './operation.ts'
import { isVersion2 } from './version.ts'

/** Finds the unique identifiers of the objects that have all these attribute values (KMIP 1.4 §4.9). */
export const locate = (
  attributes: readonly Item[],
  page: { readonly maximum: number; readonly offset?: number },
): KmipOperation<readonly string[]> => ({
  code: operation.Locate,
  repeatable: true,
  payload: (version) => [
    integer(tag.MaximumItems, page.maximum),
    // KMIP 1.3 and later.
    ...(page.offset === undefined ? [] : [integer(tag.OffsetItems, page.offset)]),
    ...(isVersion2(version) ? [structure(tag.Attributes, attributes)] : versionOneAttributes(attributes)),
  ],
  read: (payload) =>
    payload.value.flatMap((item) =>
      item.tag === tag.UniqueIdentifier && item.type === 'TextString' ? [item.value] : [],
    ),
})

/** Reads attributes of an object, never the object itself (KMIP 1.4 §4.12). */
export const getAttributes = (id: string, names: readonly AttributeName[]): KmipOperation<ObjectAttributes> => ({
  code: operation.GetAttributes,
  repeatable: true,
  object: id,
  payload: (version) => [textString(tag.UniqueIdentifier, id), ...attributeReferences(names, version)],
  read: (payload, version) => {
    assertId(payload, id)
    return readAttributes(payload, version)
  },
})

/** A key as the server returns it: `material`, which the caller zeroes, or the members of a transparent key. */
export interface KeyObject {
  readonly format: number
  readonly material: Uint8Array | Structure
}

const objectTags: ReadonlyMap<number, number> = new Map([
  [objectType.SymmetricKey, tag.SymmetricKey],
  [objectType.PublicKey, tag.PublicKey],
  [objectType.PrivateKey, tag.PrivateKey],
])

/** Fetches an object, which must be of the expected type (KMIP 1.4 §4.11). */
export const get = (id: string, expectedType: number): KmipOperation<KeyObject> => ({
  code: operation.Get,
  repeatable: true,
  object: id,
  payload: () => [textString(tag.UniqueIdentifier, id)],
  read: (payload) => {
    assertId(payload, id)
    const object = child(payload, objectTags.get(expectedType) ?? 0, 'Structure')
    const block = object && child(object, tag.KeyBlock, 'Structure')
    const format = block && child(block, tag.KeyFormatType, 'Enumeration')?.value
    const value = block && child(block, tag.KeyValue, 'Structure')
    const material = value?.value.find((item) => item.tag === tag.KeyMaterial)
    if (block === undefined || child(block, tag.KeyWrappingData, 'Structure') || format === undefined) {
      throw new ReplyMismatch('not a plain key of the type that was expected')
    }
    if (material?.type === 'ByteString') return { format, material: wipeableCopy(material.value) }
    if (material?.type === 'Structure') return { format, material }
    throw new ReplyMismatch('a key without its material')
  },
})

/** KMIP 1.4 §4.20. */
export const activate = (id: string): KmipOperation<void> => ({
  code: operation.Activate,
  repeatable: true,
  payload: () => [textString(tag.UniqueIdentifier, id)],
  read: (payload) => assertId(payload, id),
})

/** KMIP 1.4 §4.21. */
export const destroy = (id: string): KmipOperation<void> => ({
  code: operation.Destroy,
  repeatable: false,
  payload: () => [textString(tag.UniqueIdentifier, id)],
  read: (payload) => assertId(payload, id),
})

/** Creates a symmetric key with these attributes (KMIP 1.4 §4.1). The result is its unique identifier. */
export const create = (attributes: readonly Item[]): KmipOperation<string> => ({
  code: operation.Create,
  repeatable: false,
  payload: (version) => [
    enumeration(tag.ObjectType, objectType.SymmetricKey),
    isVersion2(version)
      ? structure(tag.Attributes, attributes)
      : structure(tag.TemplateAttribute, versionOneAttributes(attributes)),
  ],
  read: (payload) => idOf(payload, tag.UniqueIdentifier),
})

/** Creates a key pair (KMIP 1.4 §4.2). */
export const createKeyPair = (attributes: {
  readonly common: readonly Item[]
  readonly privateKey: readonly Item[]
  readonly publicKey: readonly Item[]
}): KmipOperation<{ readonly privateKeyId: string; readonly publicKeyId: string }> => ({
  code: operation.CreateKeyPair,
  repeatable: false,
  payload: (version) => {
    const { common, privateKey, publicKey } = attributes
    return isVersion2(version)
      ? [
          structure(tag.CommonAttributes, common),
          structure(tag.PrivateKeyAttributes, privateKey),
          structure(tag.PublicKeyAttributes, publicKey),
        ]
      : [
          structure(tag.CommonTemplateAttribute, versionOneAttributes(common)),
          structure(tag.PrivateKeyTemplateAttribute, versionOneAttributes(privateKey)),
          structure(tag.PublicKeyTemplateAttribute, versionOneAttributes(publicKey)),
        ]
  },
  read: (payload) => ({
    privateKeyId: idOf(payload, tag.PrivateKeyUniqueIdentifier),
    publicKeyId: idOf(payload, tag.PublicKeyUniqueIdentifier),
  }),
})

function idOf(payload: Structure, idTag: number): string {
  const id = child(payload, idTag, 'TextString')?.value
  if (id === undefined) throw new ReplyMismatch('a new object without an identifier')
  return id
}

/** A reply about another object than the requested one is not a reply. */
export function assertId(payload: Structure, id: string): void {
  if (idOf(payload, tag.UniqueIdentifier) !== id) throw new ReplyMismatch('an answer about another object')
}
