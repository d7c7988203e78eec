import { createPublicKey } from 'node:crypto'
import { AdapterError, type CallSignal } from '../../contract/index.ts'
import { child } from '../../ttlv-codec/src/index.ts'
import { keyFormat, objectType, tag } from '../protocol/numbers.ts'
import { getAttributes, get, type KeyObject } from '../protocol/objects.ts'
import type { Requests } from '../transport/requests.ts'

export interface RsaPublicKey {
  /** Both unsigned big-endian without leading zeros. */
  readonly n: Uint8Array
  readonly e: Uint8Array
}

/**
 * Fetches the public key with this identifier. It asks first whether the object is a public key, so that a wrong
 * identifier in the configuration cannot fetch a private key.
 */
export async function fetchPublicKey(cluster: Requests, id: string, signal: CallSignal): Promise<RsaPublicKey> {
  const attributes = await cluster.call(getAttributes(id, ['ObjectType']), signal)
  if (attributes.objectType !== objectType.PublicKey) throw unsupported('the object named as the public key is not one')
  return readPublicKey(await cluster.call(get(id, objectType.PublicKey), signal))
}

function readPublicKey({ format, material }: KeyObject): RsaPublicKey {
  if (!(material instanceof Uint8Array)) {
    const n = child(material, tag.Modulus, 'BigInteger')?.value
    const e = child(material, tag.PublicExponent, 'BigInteger')?.value
    if (format !== keyFormat.TransparentRsaPublic || n === undefined || e === undefined) {
      throw unsupported('the public key is not an RSA key')
    }
    return { n: unsigned(n), e: unsigned(e) }
  }
  const type = format === keyFormat.PKCS1 ? 'pkcs1' : format === keyFormat.X509 ? 'spki' : undefined
  if (type === undefined) throw unsupported(`the public key has the format 0x${format.toString(16)}`)
  const { n, e } = jwkOf(Buffer.from(material), type)
  if (n === undefined || e === undefined) throw unsupported('the public key is not an RSA key')
  return { n: Buffer.from(n, 'base64url'), e: Buffer.from(e, 'base64url') }
}

function jwkOf(key: Buffer, type: 'pkcs1' | 'spki') {
  try {
    return createPublicKey({ key, format: 'der', type }).export({ format: 'jwk' })
  } catch {
    throw unsupported('the public key cannot be read')
  }
}

function unsigned(value: bigint): Uint8Array {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

const unsupported = (message: string) => new AdapterError('KEY_UNSUPPORTED', message)
