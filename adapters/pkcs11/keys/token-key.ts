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
import { CKK } from '../cryptoki/numbers.ts'
import { UNREADABLE_DATE, type KeyFacts } from '../wire/host-protocol.ts'
import type { Direction } from '../cryptoki/way.ts'
import { firstDay, lastDay } from './dates.ts'

/** A key of the token that the EKM Proxy API can use, and the token's attributes for its use. */
export interface TokenKey {
  readonly ref: KeyRef
  /** The key's name for hosts. */
  readonly selector: string
  readonly facts: KeyFacts
  readonly description: KeyDescription
  /** Equal for two looks at the same key, unless something has changed on which a qualification depends. */
  readonly fingerprint: string
  /** For wrapping without the token. Undefined for a secret key. */
  readonly publicKey?: KeyObject
}

/** @throws AdapterError `KEY_UNSUPPORTED` for a key of a type or size that the EKM Proxy API does not allow */
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
  // A token need not show the length of a key that it did not generate itself (opencryptoki does not). Qualification
  // proves that the key is an AES key, and no use of the key shows its length.
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

/**
 * @throws AdapterError `KEY_DISABLED` before CKA_START_DATE and after CKA_END_DATE; on both days, in UTC, the key may
 *   be used
 */
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

/** The key's time may be over, so the key is not used. */
const hasUnreadableDate = ({ startDate, endDate }: Pick<KeyFacts, 'startDate' | 'endDate'>): boolean =>
  startDate === UNREADABLE_DATE || endDate === UNREADABLE_DATE

/** @throws AdapterError `OPERATION_FORBIDDEN` if the token's usage attributes exclude every way of `direction` */
export function assertAllows(key: TokenKey, direction: Direction): void {
  if (!allows(key.facts, direction)) {
    throw new AdapterError('OPERATION_FORBIDDEN', `the usage attributes of ${key.ref} do not allow it to ${direction}`)
  }
}

/** The token itself enforces a usage attribute that it does not show. */
export function allows(facts: KeyFacts, direction: Direction): boolean {
  if (direction === 'unwrap') return facts.decrypt !== false || facts.unwrap !== false
  return facts.class === 'private' ? facts.publicUse !== false : facts.encrypt !== false || facts.wrap !== false
}

/** Whether the key can leave the token, as far as the token shows. */
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
