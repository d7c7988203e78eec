import { createCipheriv, createDecipheriv, createPrivateKey, subtle, type webcrypto } from 'node:crypto'
import {
  algorithm,
  blockCipherMode,
  hashingAlgorithm,
  keyFormat,
  objectType,
  paddingMethod,
  resultReason,
  state,
  tag,
  usageMask,
} from '../../../adapters/kmip/protocol/numbers.ts'
import { child, type ItemOf } from '../../../adapters/ttlv-codec/src/index.ts'
import { Refused, type Behaviour } from './behaviour.ts'
import { numberAttribute, stateOf, type StoredObject } from './store.ts'

type Direction = 'encrypt' | 'decrypt'
type Structure = ItemOf<'Structure'>

/** Encrypts or decrypts a whole value. */
export async function cryptValue(
  direction: Direction,
  object: StoredObject,
  parameters: Structure | undefined,
  data: Uint8Array,
  behaviour: Behaviour,
): Promise<Uint8Array> {
  assertAllowed(direction, object, behaviour)
  const number = (wanted: number) => parameters && child(parameters, wanted, 'Enumeration')?.value
  const list = behaviour.readsLists ? listIn(data) : undefined
  const one = async (value: Uint8Array) =>
    object.type === objectType.PrivateKey
      ? oaepDecrypt(object, number, value, behaviour)
      : aes(direction, object, number, value, behaviour)
  return list === undefined ? one(data) : asList(await Promise.all(list.map(one)))
}

function assertAllowed(direction: Direction, object: StoredObject, behaviour: Behaviour): void {
  const current = stateOf(object)
  // A Compromised key still decrypts, as on Cosmian's server. The adapter must not use it.
  const decrypts = current === state.Deactivated || current === state.Compromised
  const stateFits = current === state.Active || (direction === 'decrypt' && decrypts)
  if (!stateFits) throw new Refused(behaviour.reasons.wrongState)
  const mask = numberAttribute(object, tag.CryptographicUsageMask) ?? 0
  const needed = direction === 'encrypt' ? usageMask.Encrypt : usageMask.Decrypt
  if ((mask & needed) === 0) throw new Refused(behaviour.reasons.missingMask)
}

type Parameter = (wanted: number) => number | undefined

function aes(
  direction: Direction,
  { material }: StoredObject,
  parameter: Parameter,
  data: Uint8Array,
  behaviour: Behaviour,
): Uint8Array {
  if (parameter(tag.CryptographicAlgorithm) !== algorithm.AES) throw new Refused(resultReason.InvalidField)
  switch (parameter(tag.BlockCipherMode)) {
    case blockCipherMode.ECB: {
      const padding = parameter(tag.PaddingMethod)
      if (behaviour.ecb === 'none' || padding !== paddingMethod[behaviour.ecb]) {
        throw new Refused(behaviour.reasons.unsupported)
      }
      const cipher = (direction === 'encrypt' ? createCipheriv : createDecipheriv)('aes-256-ecb', material, null)
      cipher.setAutoPadding(behaviour.ecb === 'PKCS5')
      return finished(cipher, data, behaviour)
    }
    case blockCipherMode.NISTKeyWrap:
      // Cosmian's server before 5.15 did the other algorithm under this number.
      if (behaviour.keyWrap === 'swapped') return keyWrap(direction, material, 'wrap-pad', data, behaviour)
      return keyWrap(direction, material, 'wrap', data, behaviour)
    case blockCipherMode.AESKeyWrapPadding:
      return keyWrap(direction, material, 'wrap-pad', data, behaviour)
    case undefined:
    default:
      throw new Refused(behaviour.reasons.unsupported)
  }
}

const initialValues = { wrap: 'a6a6a6a6a6a6a6a6', 'wrap-pad': 'a65959a6' }

function keyWrap(
  direction: Direction,
  key: Uint8Array,
  mode: 'wrap' | 'wrap-pad',
  data: Uint8Array,
  behaviour: Behaviour,
): Uint8Array {
  if (behaviour.keyWrap === 'none') throw new Refused(behaviour.reasons.unsupported)
  if (behaviour.keyWrap === 'by parts') return byParts(direction, key, mode, data, behaviour)
  if (behaviour.keyWrap === 'one key') key = ONE_KEY
  if (behaviour.keyWrap === 'unchecked') {
    try {
      return keyWrap(direction, key, mode, data, { ...behaviour, keyWrap: 'right' })
    } catch (error) {
      if (direction === 'decrypt') return data.slice(8)
      throw error
    }
  }
  const create = direction === 'encrypt' ? createCipheriv : createDecipheriv
  return finished(create(`id-aes256-${mode}`, key, Buffer.from(initialValues[mode], 'hex')), data, behaviour)
}

const ONE_KEY = Buffer.alloc(32, 1)

/** A right key wrap of all semiblocks but the last, which is only changed by a constant. */
function byParts(
  direction: Direction,
  key: Uint8Array,
  mode: 'wrap' | 'wrap-pad',
  data: Uint8Array,
  behaviour: Behaviour,
): Uint8Array {
  const whole = { ...behaviour, keyWrap: 'right' } as const
  if (data.length < (direction === 'encrypt' ? 24 : 32)) return keyWrap(direction, key, mode, data, whole)
  const [first, last] = [data.subarray(0, -8), data.subarray(-8)]
  return Buffer.concat([keyWrap(direction, key, mode, first, whole), last.map((byte) => byte ^ 0x5a)])
}

function finished(
  cipher: { update(data: Uint8Array): Buffer; final(): Buffer },
  data: Uint8Array,
  { reasons }: Behaviour,
): Uint8Array {
  try {
    return Buffer.concat([cipher.update(data), cipher.final()])
  } catch {
    throw new Refused(reasons.badCiphertext)
  }
}

const decryptionKeys = new WeakMap<StoredObject, Map<string, Promise<webcrypto.CryptoKey>>>()

/** Reading a private key takes as long as using it. */
function decryptionKey(object: StoredObject, hash: string): Promise<webcrypto.CryptoKey> {
  const keys = decryptionKeys.get(object) ?? new Map<string, Promise<webcrypto.CryptoKey>>()
  decryptionKeys.set(object, keys)
  const known = keys.get(hash)
  if (known !== undefined) return known
  const type = object.format === keyFormat.PKCS1 ? 'pkcs1' : 'pkcs8'
  const jwk = createPrivateKey({ key: Buffer.from(object.material), format: 'der', type }).export({ format: 'jwk' })
  const key = subtle.importKey('jwk', jwk, { name: 'RSA-OAEP', hash }, false, ['decrypt'])
  keys.set(hash, key)
  return key
}

/** WebCrypto works off the event loop, which the client under test shares. */
async function oaepDecrypt(
  object: StoredObject,
  parameter: Parameter,
  data: Uint8Array,
  behaviour: Behaviour,
): Promise<Uint8Array> {
  const hashNumber = parameter(tag.HashingAlgorithm)
  const mgfHash = parameter(tag.MaskGeneratorHashingAlgorithm) ?? behaviour.defaultMgfHash
  if (!behaviour.oaep || parameter(tag.PaddingMethod) !== paddingMethod.OAEP) {
    throw new Refused(behaviour.reasons.unsupported)
  }
  const hash = hashNumber === hashingAlgorithm['SHA-1'] ? 'SHA-1' : 'SHA-256'
  const key = await decryptionKey(object, hash)
  try {
    // WebCrypto uses one hash for both. A server with another MGF1 hash opens nothing that this client made.
    if (mgfHash !== 'same' && mgfHash !== hashNumber) throw new Error('another mask')
    return new Uint8Array(await subtle.decrypt({ name: 'RSA-OAEP' }, key, data))
  } catch {
    throw new Refused(behaviour.reasons.badCiphertext)
  }
}

/** Parses data that begins with 87 87 as Cosmian's server does: a count, then values with their lengths in front. */
function listIn(data: Uint8Array): Uint8Array[] | undefined {
  if (data[0] !== 0x87 || data[1] !== 0x87) return undefined
  const count = data[2] ?? 0
  const values: Uint8Array[] = []
  let at = 3
  for (let index = 0; index < count; index++) {
    const length = data[at] ?? 0x80
    if (length >= 0x80 || at + 1 + length > data.length) return undefined
    values.push(data.subarray(at + 1, at + 1 + length))
    at += 1 + length
  }
  return values
}

const asList = (values: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat([Buffer.of(0x87, 0x87, values.length), ...values.flatMap((value) => [Buffer.of(value.length), value])])
