import * as v from 'valibot'
import { bitLength, isKeyName, KEY_NAME_RULE, OperatorError, rsaSizes, type KeyValidity } from '../contract/index.ts'
import { seal, unseal } from './sealed.ts'
import type { StoreKey } from './passphrase.ts'

const octJwk = v.object({ kty: v.literal('oct'), k: v.string() })

const rsaPrivateJwk = v.object({
  kty: v.literal('RSA'),
  n: v.string(),
  e: v.string(),
  d: v.string(),
  p: v.string(),
  q: v.string(),
  dp: v.string(),
  dq: v.string(),
  qi: v.string(),
})

/** A private key as in RFC 7518 §6: `oct` with `k`, or `RSA` with all of its two-prime members. */
export const privateJwkSchema = v.variant('kty', [octJwk, rsaPrivateJwk])
export type PrivateJwk = v.InferOutput<typeof privateJwkSchema>

/** A key of the store, with the operator's settings for it. */
export interface StoredKey extends KeyValidity {
  readonly name: string
  readonly jwk: PrivateJwk
  readonly enabled: boolean
  readonly created: Date
}

const numericDate = v.pipe(v.number(), v.integer(), v.minValue(0))

// The private JWK is inside the JWE; RFC 7517 §4 lets a JWK carry further members.
const envelopeSchema = v.intersect([
  privateJwkSchema,
  v.object({
    kid: v.string(),
    enabled: v.boolean(),
    iat: numericDate,
    nbf: v.optional(numericDate),
    exp: v.optional(numericDate),
  }),
])

// A NumericDate has whole seconds here. It is rounded so that a key is never usable outside its dates.
const toNumericDate = (date: Date, round: (seconds: number) => number = Math.floor) => round(date.getTime() / 1000)
const fromNumericDate = (seconds: number) => new Date(seconds * 1000)

/** The modulus length of an RSA JWK, or the key length of an `oct` JWK, in bits. */
export const jwkBits = (jwk: PrivateJwk): number =>
  jwk.kty === 'oct' ? Buffer.byteLength(jwk.k, 'base64url') * 8 : bitLength(Buffer.from(jwk.n, 'base64url'))

/** Whether the EKM Proxy API allows a key of this type and size. */
export const isServable = (jwk: PrivateJwk): boolean =>
  jwk.kty === 'oct' ? jwkBits(jwk) === 256 : rsaSizes.some((bits) => bits === jwkBits(jwk))

export function assertKeyName(name: string): void {
  if (!isKeyName(name)) {
    throw new OperatorError(
      'KEY_NAME_INVALID',
      `the key name ${JSON.stringify(name)} is not allowed: use ${KEY_NAME_RULE}`,
    )
  }
}

const fileExtension = '.jwe'
export const keyFileName = (name: string): string => name + fileExtension

/** The key's name. Undefined for a file of another kind, such as a temporary file, whose name starts with a dot. */
export const keyNameOf = (file: string): string | undefined =>
  file.endsWith(fileExtension) && !file.startsWith('.') ? file.slice(0, -fileExtension.length) : undefined

/** The text of a key file: a JWK (RFC 7517) inside a compact JWE (RFC 7516). */
export async function encodeKeyFile(key: StoredKey, storeKey: StoreKey): Promise<string> {
  const envelope: v.InferInput<typeof envelopeSchema> = {
    ...key.jwk,
    kid: key.name,
    enabled: key.enabled,
    iat: toNumericDate(key.created),
    ...(key.notBefore && { nbf: toNumericDate(key.notBefore, Math.ceil) }),
    ...(key.expires && { exp: toNumericDate(key.expires) }),
  }
  const payload = new TextEncoder().encode(JSON.stringify(envelope))
  return (await seal(payload, { kid: key.name, cty: 'jwk+json' }, storeKey)) + '\n'
}

/** Reads a text that {@link encodeKeyFile} wrote. `path` is for error messages. */
export async function decodeKeyFile(text: string, name: string, path: string, storeKey: StoreKey): Promise<StoredKey> {
  const payload = await unseal(text, { kid: name, cty: 'jwk+json' }, storeKey)
  if (payload === undefined) {
    throw new OperatorError(
      'KEY_FILE_INVALID',
      `${path} is not a key of this store: it is damaged, belongs to another store, or was renamed`,
    )
  }
  try {
    const parsed = v.safeParse(envelopeSchema, parseJson(new TextDecoder().decode(payload)))
    if (!parsed.success || parsed.output.kid !== name || !isServable(parsed.output)) {
      throw new OperatorError('KEY_FILE_INVALID', `${path} holds a key that this version cannot serve`)
    }
    const { kid, enabled, iat, nbf, exp, ...jwk } = parsed.output
    return {
      name: kid,
      jwk,
      enabled,
      created: fromNumericDate(iat),
      ...(nbf !== undefined && { notBefore: fromNumericDate(nbf) }),
      ...(exp !== undefined && { expires: fromNumericDate(exp) }),
    }
  } finally {
    payload.fill(0)
  }
}

/** Undefined for a text that is not JSON. The parser's own message would quote the text, which may be a key. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
