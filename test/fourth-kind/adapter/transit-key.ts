import { createPublicKey } from 'node:crypto'
import * as v from 'valibot'
import { AdapterError, rsaSizes, type CallSignal, type KeyDescription } from '../../../adapters/contract/index.ts'
import type { TransitClient } from './client.ts'

/** The service's description of a key. Other members are not needed. */
const answer = v.object({
  type: v.string(),
  keys: v.object({ '1': v.object({ creation_time: v.string(), public_key: v.exactOptional(v.string()) }) }),
})

/** A key by the service's latest description. */
export interface TransitKey {
  readonly created: Date
  /** `undefined` for a type or size that the EKM Proxy API does not know. */
  readonly description: KeyDescription | undefined
}

export const keyPath = (operation: 'keys' | 'encrypt' | 'decrypt', name: string) =>
  `transit/${operation}/${encodeURIComponent(name)}`

/** Rejects with `KEY_NOT_FOUND`. */
export async function readKey(client: TransitClient, name: string, signal: CallSignal): Promise<TransitKey> {
  const { status, data } = await client.ask({ method: 'GET', path: keyPath('keys', name) }, signal)
  if (status === 404) throw new AdapterError('KEY_NOT_FOUND', `the key service has no key ${name}`)
  const { type, keys } = expected(answer, data)
  const { creation_time: created, public_key: publicKey } = keys['1']
  return { created: new Date(created), description: describe(type, publicKey) }
}

/** Parses `value` by `schema`. Throws `BACKEND_UNAVAILABLE` if it does not fit, without quoting it. */
export function expected<Schema extends v.GenericSchema>(schema: Schema, value: unknown): v.InferOutput<Schema> {
  const { success, output } = v.safeParse(schema, value)
  if (success) return output
  throw new AdapterError('BACKEND_UNAVAILABLE', 'the key service answers in a form that is not known')
}

function describe(type: string, publicKey: string | undefined): KeyDescription | undefined {
  if (type === 'aes256-gcm96') return { kty: 'oct', bits: 256 }
  const bits = rsaSizes.find((size) => type === `rsa-${size}`)
  if (bits === undefined || publicKey === undefined) return undefined
  const { n = '', e = '' } = createPublicKey(publicKey).export({ format: 'jwk' })
  return { kty: 'RSA', bits, n: Buffer.from(n, 'base64url'), e: Buffer.from(e, 'base64url') }
}
