import type { KeyObject } from 'node:crypto'
import {
  AdapterError,
  bitLength,
  rsaSizes,
  type KeyDescription,
  type KeyRef,
  type KeySummary,
  type RsaBits,
} from '../../contract/index.ts'
import { rsaPublicKey } from '../../key-wrap/index.ts'
import { CKK } from '../cryptoki.ts'
import { UNREADABLE_DATE, type KeyFacts } from '../host-protocol.ts'
import type { Direction } from '../way.ts'
import { firstDay, lastDay } from './dates.ts'

/** A key of the token that the EKM Proxy API can use, and what the token's attributes say of its use. */
export interface TokenKey {
  readonly ref: KeyRef
  /** As hosts know it. */
  readonly selector: string
  readonly facts: KeyFacts
  readonly description: KeyDescription
  /** Equal for two looks at the same key, unless anything has changed that a qualification rests on. */
  readonly fingerprint: string
  /** For wrapping without the token; absent for a secret key. */
  readonly publicKey?: KeyObject
}

/** Throws `KEY_UNSUPPORTED` for a key of a type or size that the EKM Proxy API does not know. */
export function tokenKey(ref: KeyRef, selector: string, facts: KeyFacts): TokenKey {
  if (facts.alwaysAuthenticate === true) {
    throw unsupported(`${ref} has CKA_ALWAYS_AUTHENTICATE: it would need the PIN for every call`)
  }
  const description = facts.class === 'secret' ? secretKey(ref, facts) : rsaKey(ref, facts)
  return {
    ref,
    selector,
    facts,
    description,
    fingerprint: JSON.stringify(facts, (_name, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('base64url') : value,
    ),
    ...(description.kty === 'RSA' && { publicKey: rsaPublicKey(description.n, description.e) }),
  }
}

const unsupported = (message: string) => new AdapterError('KEY_UNSUPPORTED', message)

function secretKey(ref: KeyRef, { keyType, valueLen }: KeyFacts): KeyDescription {
  if (keyType !== CKK.AES) throw unsupported(`${ref} is a secret key, but not an AES key`)
  // A token need not show the length of a key that it did not make itself (opencryptoki does not). Qualification shows the
  // key to be one of AES, and no use of it would tell its length.
  if (valueLen !== undefined && valueLen !== 32) throw unsupported(`${ref} is not an AES key of 256 bits`)
  return { kty: 'oct', bits: 256 }
}

function rsaKey(ref: KeyRef, { keyType, n, e }: KeyFacts): KeyDescription {
  if (keyType !== CKK.RSA) throw unsupported(`${ref} is a private key, but not an RSA key`)
  if (n === undefined || e === undefined) {
    throw unsupported(`${ref} shows no modulus and exponent, and no public key has its CKA_ID`)
  }
  const bits = rsaSizes.find((size): size is RsaBits => size === bitLength(n))
  if (bits === undefined) throw unsupported(`${ref} is an RSA key of ${bitLength(n)} bits`)
  return { kty: 'RSA', bits, n, e }
}

/** Throws `KEY_DISABLED` outside CKA_START_DATE and CKA_END_DATE; both days belong to the key's life, in UTC. */
export function assertActive({ ref, facts }: TokenKey, now: Date): void {
  const { startDate, endDate } = facts
  if (hasUnreadableDate(facts)) {
    throw new AdapterError('KEY_DISABLED', `${ref} has a CKA_START_DATE or CKA_END_DATE that its token cannot show`)
  }
  if (startDate === undefined && endDate === undefined) return
  const today = now.toISOString().slice(0, 10).replaceAll('-', '')
  if (startDate !== undefined && today < startDate) {
    throw new AdapterError('KEY_DISABLED', `${ref} is not active before its CKA_START_DATE, ${startDate}`)
  }
  if (endDate !== undefined && today > endDate) {
    throw new AdapterError('KEY_DISABLED', `${ref} has been out of use since its CKA_END_DATE, ${endDate}`)
  }
}

/** The key's time may be over: it is not used. */
const hasUnreadableDate = ({ startDate, endDate }: Pick<KeyFacts, 'startDate' | 'endDate'>): boolean =>
  startDate === UNREADABLE_DATE || endDate === UNREADABLE_DATE

/** Throws `OPERATION_FORBIDDEN` where the token's usage attributes rule every way of `direction` out. */
export function assertAllows(key: TokenKey, direction: Direction): void {
  if (!allows(key.facts, direction)) {
    throw new AdapterError('OPERATION_FORBIDDEN', `the usage attributes of ${key.ref} do not allow it to ${direction}`)
  }
}

/** A usage attribute that the token does not show is left for the token itself to enforce. */
export function allows(facts: KeyFacts, direction: Direction): boolean {
  if (direction === 'unwrap') return facts.decrypt !== false || facts.unwrap !== false
  return facts.class === 'private' ? facts.publicUse !== false : facts.encrypt !== false || facts.wrap !== false
}

/** Whether the key can leave the token, as far as the token says. */
export const isExposed = ({ sensitive, extractable }: KeyFacts): boolean => sensitive === false || extractable === true

export function summaryOf(facts: KeyFacts): KeySummary {
  const unreadable = hasUnreadableDate(facts)
  const { startDate, endDate }: Pick<KeyFacts, 'startDate' | 'endDate'> = unreadable ? {} : facts
  const secret = facts.class === 'secret'
  const bits = secret ? facts.valueLen && 8 * facts.valueLen : facts.n && bitLength(facts.n)
  return {
    name: facts.label === '' ? `id:${facts.id}` : facts.label,
    kty: secret ? 'oct' : 'RSA',
    ...(bits !== undefined && { bits }),
    enabled: !unreadable && (allows(facts, 'wrap') || allows(facts, 'unwrap')),
    ...(startDate !== undefined && { notBefore: firstDay.toDate(startDate) }),
    ...(endDate !== undefined && { expires: lastDay.toDate(endDate) }),
  }
}
