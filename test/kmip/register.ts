import { createPrivateKey, createPublicKey } from 'node:crypto'
import { attribute, versionOneAttributes } from '../../adapters/kmip/protocol/attributes.ts'
import { algorithm, keyFormat, objectType, state, tag } from '../../adapters/kmip/protocol/numbers.ts'
import { activate, getAttributes } from '../../adapters/kmip/protocol/objects.ts'
import type { KmipOperation } from '../../adapters/kmip/protocol/operation.ts'
import { isVersion2 } from '../../adapters/kmip/protocol/version.ts'
import type { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import {
  byteString,
  child,
  enumeration,
  integer,
  structure,
  textString,
  type Item,
} from '../../adapters/ttlv-codec/src/index.ts'
import type { RsaPrivateJwk, TestKey } from '../contract/harness.ts'

const REGISTER = 3
const REVOKE = 0x13
const REVOCATION_REASON = 0x420081
const REVOCATION_REASON_CODE = 0x420082

const ENCRYPT_DECRYPT = 0x0c
const anySignal = () => AbortSignal.timeout(30_000)

interface Material {
  readonly type: number
  readonly tag: number
  readonly algorithm: number
  readonly bits: number
  readonly format: number
  readonly bytes: Uint8Array
}

export interface Registered {
  readonly name?: string
  readonly usageMask?: number
  readonly attributes?: readonly Item[]
}

/** Registers a key of the test's own on a server. The adapter never does that. */
const register = (material: Material, { name, usageMask = ENCRYPT_DECRYPT, attributes = [] }: Registered) =>
  ({
    code: REGISTER,
    repeatable: false,
    payload: (version) => {
      const values = [
        ...(name === undefined ? [] : [attribute.name(name)]),
        attribute.algorithm(material.algorithm),
        attribute.length(material.bits),
        attribute.usageMask(usageMask),
        ...attributes,
      ]
      return [
        enumeration(tag.ObjectType, material.type),
        isVersion2(version)
          ? structure(tag.Attributes, values)
          : structure(tag.TemplateAttribute, versionOneAttributes(values)),
        structure(material.tag, [
          structure(tag.KeyBlock, [
            enumeration(tag.KeyFormatType, material.format),
            structure(tag.KeyValue, [byteString(tag.KeyMaterial, material.bytes)]),
            enumeration(tag.CryptographicAlgorithm, material.algorithm),
            integer(tag.CryptographicLength, material.bits),
          ]),
        ]),
      ]
    },
    read: (payload) => child(payload, tag.UniqueIdentifier, 'TextString')?.value ?? '',
  }) satisfies KmipOperation<string>

const symmetric = (k: Uint8Array): Material => ({
  type: objectType.SymmetricKey,
  tag: tag.SymmetricKey,
  algorithm: algorithm.AES,
  bits: 8 * k.length,
  format: keyFormat.Raw,
  bytes: k,
})

export const registerAes = (cluster: KmipCluster, k: Uint8Array, options: Registered): Promise<string> =>
  cluster.call(register(symmetric(k), options), anySignal())

/** Makes both halves of a key pair under one name, as `keys create` does. */
export async function registerRsa(
  cluster: KmipCluster,
  jwk: RsaPrivateJwk,
  options: Registered,
): Promise<{ readonly privateKeyId: string; readonly publicKeyId: string }> {
  const bits = 8 * Buffer.from(jwk.n, 'base64url').length
  const key = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
  const publicKey = createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' })
  const privateKeyId = await cluster.call(
    register(
      {
        type: objectType.PrivateKey,
        tag: tag.PrivateKey,
        algorithm: algorithm.RSA,
        bits,
        format: keyFormat.PKCS8,
        bytes: key.export({ format: 'der', type: 'pkcs8' }),
      },
      { usageMask: 0x08, ...options },
    ),
    anySignal(),
  )
  const publicKeyId = await cluster.call(
    register(
      {
        type: objectType.PublicKey,
        tag: tag.PublicKey,
        algorithm: algorithm.RSA,
        bits,
        format: keyFormat.PKCS1,
        bytes: publicKey.export({ format: 'der', type: 'pkcs1' }),
      },
      { usageMask: 0x04, ...options },
    ),
    anySignal(),
  )
  return { privateKeyId, publicKeyId }
}

export async function activateIfNeeded(cluster: KmipCluster, id: string): Promise<void> {
  const { state: current } = await cluster.call(getAttributes(id, ['State']), anySignal())
  if (current === state.PreActive) await cluster.call(activate(id), anySignal())
}

/** Reason 1 is Unspecified, which deactivates; 2 is Key Compromise. */
export const revoke = (id: string, reason: 1 | 2): KmipOperation<void> => ({
  code: REVOKE,
  repeatable: false,
  payload: () => [
    textString(tag.UniqueIdentifier, id),
    structure(REVOCATION_REASON, [enumeration(REVOCATION_REASON_CODE, reason)]),
    // PyKMIP requires the date of a compromise.
    ...(reason === 2
      ? [{ tag: 0x420021, type: 'DateTime', value: BigInt(Math.floor(Date.now() / 1000)) } as const]
      : []),
  ],
  read: () => undefined,
})

/**
 * Registers a key of the common suites on a server. A disabled key is revoked. On PyKMIP it was never activated, since
 * PyKMIP lets only active keys be used. Returns the identifiers of the new objects.
 */
export async function registerKey(
  cluster: KmipCluster,
  name: string,
  { material, disabled, notBefore }: TestKey,
  disabling: 'revoke' | 'leave inactive',
): Promise<readonly string[]> {
  const registered = { name, ...(notBefore && { attributes: [attribute.activationDate(notBefore)] }) }
  const ids =
    material.kty === 'oct'
      ? [await registerAes(cluster, material.k, registered)]
      : Object.values(await registerRsa(cluster, material.jwk, registered))
  for (const id of ids) {
    if (disabled === true && disabling === 'revoke') await cluster.call(revoke(id, 2), anySignal())
    else if (disabled !== true && notBefore === undefined) await activateIfNeeded(cluster, id)
  }
  return ids
}
