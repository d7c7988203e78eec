import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { attributeValues, versionOneAttributes } from '../../../adapters/kmip/protocol/attributes.ts'
import { versionItem } from '../../../adapters/kmip/protocol/message.ts'
import {
  keyFormat,
  LINK_PUBLIC_KEY,
  objectType,
  operation,
  resultReason,
  state,
  tag,
} from '../../../adapters/kmip/protocol/numbers.ts'
import { isVersion2, type KmipVersion } from '../../../adapters/kmip/protocol/version.ts'
import {
  byteString,
  child,
  enumeration,
  structure,
  textString,
  type Item,
  type ItemOf,
} from '../../../adapters/ttlv-codec/src/index.ts'
import { Refused, type Behaviour } from './behaviour.ts'
import { cryptValue } from './crypt.ts'
import { attributesOf, linkTo, managedObject, nameOf, ObjectStore, type StoredObject } from './store.ts'

type Structure = ItemOf<'Structure'>

const REGISTER = 0x03
const REVOKE = 0x13
const REVOCATION_REASON = 0x420081
const REVOCATION_REASON_CODE = 0x420082

/** The operations of a test server, without message framing and faults. */
export class Operations {
  readonly store = new ObjectStore()
  behaviour: Behaviour

  constructor(behaviour: Behaviour) {
    this.behaviour = behaviour
  }

  /** Returns the response payload. Throws {@link Refused}. */
  async answer(code: number, payload: Structure, version: KmipVersion): Promise<readonly Item[]> {
    switch (code) {
      case operation.DiscoverVersions:
        return this.#discover(payload)
      case operation.Query:
        return [
          ...Object.values(operation).map((value) => enumeration(tag.Operation, value)),
          textString(tag.VendorIdentification, 'ekm-gateway test server'),
        ]
      case operation.Locate:
        return this.#locate(payload, version)
      case operation.GetAttributes:
        return this.#getAttributes(payload, version)
      case operation.Get:
        return this.#get(payload)
      case operation.Encrypt:
        return this.#crypt('encrypt', payload)
      case operation.Decrypt:
        return this.#crypt('decrypt', payload)
      case operation.Activate: {
        const object = this.#object(payload)
        object.state = state.Active
        return [textString(tag.UniqueIdentifier, object.id)]
      }
      case operation.Destroy: {
        const { id } = this.#object(payload)
        this.store.remove(id)
        return [textString(tag.UniqueIdentifier, id)]
      }
      case operation.Create: {
        const attributes = attributesIn(payload, version, tag.TemplateAttribute, tag.Attributes)
        const material = randomBytes(32)
        const object = this.store.add({ type: objectType.SymmetricKey, format: keyFormat.Raw, material, attributes })
        return [enumeration(tag.ObjectType, object.type), textString(tag.UniqueIdentifier, object.id)]
      }
      case operation.CreateKeyPair:
        return this.#createKeyPair(payload, version)
      case REGISTER:
        return this.#register(payload, version)
      case REVOKE: {
        const object = this.#object(payload)
        const reason = child(payload, REVOCATION_REASON, 'Structure')
        const compromised = reason && child(reason, REVOCATION_REASON_CODE, 'Enumeration')?.value === 2
        object.state = compromised ? state.Compromised : state.Deactivated
        return [textString(tag.UniqueIdentifier, object.id)]
      }
      default:
        throw new Refused(resultReason.OperationNotSupported)
    }
  }

  #object(payload: Structure, notFound = this.behaviour.reasons.notFound): StoredObject {
    const object = this.store.find(child(payload, tag.UniqueIdentifier, 'TextString')?.value ?? '')
    if (object === undefined) throw new Refused(notFound)
    return object
  }

  #discover(payload: Structure): readonly Item[] {
    const offered = payload.value.map((item) => JSON.stringify(item))
    const versions = this.behaviour.versions.map(versionItem)
    return offered.length === 0 ? versions : versions.filter((item) => offered.includes(JSON.stringify(item)))
  }

  #locate(payload: Structure, version: KmipVersion): readonly Item[] {
    const wanted = isVersion2(version)
      ? (child(payload, tag.Attributes, 'Structure')?.value ?? [])
      : attributeValues(payload)
    const found = this.store
      .all()
      .filter((object) =>
        wanted.every((value) =>
          attributesOf(object).some((own) =>
            own.tag !== value.tag
              ? false
              : own.tag === tag.Name
                ? nameOf(own) === nameOf(value)
                : own.value === value.value,
          ),
        ),
      )
    const offset = child(payload, tag.OffsetItems, 'Integer')?.value ?? 0
    const maximum = child(payload, tag.MaximumItems, 'Integer')?.value ?? found.length
    return found.slice(offset, offset + maximum).map(({ id }) => textString(tag.UniqueIdentifier, id))
  }

  #getAttributes(payload: Structure, version: KmipVersion): readonly Item[] {
    const object = this.#object(payload, this.behaviour.reasons.notDescribed)
    const wanted = isVersion2(version)
      ? payload.value.flatMap((item) => (item.type === 'Enumeration' ? [item.value] : []))
      : attributeValues(
          structure(
            0x420000,
            payload.value.flatMap((item) =>
              item.tag === tag.AttributeName
                ? [structure(tag.Attribute, [item, textString(tag.AttributeValue, '')])]
                : [],
            ),
          ),
        ).map((item) => item.tag)
    const values = attributesOf(object).filter((item) => wanted.includes(item.tag))
    return [
      textString(tag.UniqueIdentifier, object.id),
      ...(isVersion2(version) ? [structure(tag.Attributes, values)] : versionOneAttributes(values)),
    ]
  }

  #get(payload: Structure): readonly Item[] {
    const object = this.#object(payload)
    if (object.type !== objectType.PublicKey && !this.behaviour.exports) {
      throw new Refused(this.behaviour.reasons.notExportable)
    }
    return [
      enumeration(tag.ObjectType, object.type),
      textString(tag.UniqueIdentifier, object.id),
      managedObject(object, this.behaviour.publicFormat),
    ]
  }

  async #crypt(direction: 'encrypt' | 'decrypt', payload: Structure): Promise<readonly Item[]> {
    const object = this.#object(payload)
    const data = child(payload, tag.Data, 'ByteString')?.value
    if (data === undefined) throw new Refused(resultReason.MissingData)
    const parameters = child(payload, tag.CryptographicParameters, 'Structure')
    const result = await cryptValue(direction, object, parameters, data, this.behaviour)
    return [textString(tag.UniqueIdentifier, object.id), byteString(tag.Data, result)]
  }

  #createKeyPair(payload: Structure, version: KmipVersion): readonly Item[] {
    const part = (one: number, two: number) => attributesIn(payload, version, one, two)
    const common = part(tag.CommonTemplateAttribute, tag.CommonAttributes)
    const length = common.find((item) => item.tag === tag.CryptographicLength)
    const { publicKey, privateKey } = generateKeyPairSync('rsa', {
      modulusLength: length?.type === 'Integer' ? length.value : 2048,
      publicKeyEncoding: { format: 'der', type: 'pkcs1' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    })
    const publicObject = this.store.add({
      type: objectType.PublicKey,
      format: keyFormat.PKCS1,
      material: publicKey,
      attributes: [...common, ...part(tag.PublicKeyTemplateAttribute, tag.PublicKeyAttributes)],
    })
    const privateObject = this.store.add({
      type: objectType.PrivateKey,
      format: keyFormat.PKCS8,
      material: privateKey,
      attributes: [
        ...common,
        ...part(tag.PrivateKeyTemplateAttribute, tag.PrivateKeyAttributes),
        ...(this.behaviour.links ? [linkTo(LINK_PUBLIC_KEY, publicObject.id)] : []),
      ],
    })
    return [
      textString(tag.PrivateKeyUniqueIdentifier, privateObject.id),
      textString(tag.PublicKeyUniqueIdentifier, publicObject.id),
    ]
  }

  #register(payload: Structure, version: KmipVersion): readonly Item[] {
    const type = child(payload, tag.ObjectType, 'Enumeration')?.value ?? 0
    const holder = payload.value.find(
      (item): item is Structure => item.type === 'Structure' && child(item, tag.KeyBlock, 'Structure') !== undefined,
    )
    const block = holder && child(holder, tag.KeyBlock, 'Structure')
    const value = block && child(block, tag.KeyValue, 'Structure')
    const material = value && child(value, tag.KeyMaterial, 'ByteString')?.value
    if (material === undefined) throw new Refused(resultReason.MissingData)
    const object = this.store.add({
      type,
      format: (block && child(block, tag.KeyFormatType, 'Enumeration')?.value) ?? 0,
      material: Uint8Array.from(material),
      attributes: attributesIn(payload, version, tag.TemplateAttribute, tag.Attributes),
    })
    return [textString(tag.UniqueIdentifier, object.id)]
  }
}

function attributesIn(payload: Structure, version: KmipVersion, one: number, two: number): Item[] {
  const holder = child(payload, isVersion2(version) ? two : one, 'Structure')
  if (holder === undefined) return []
  return isVersion2(version) ? [...holder.value] : attributeValues(holder)
}
