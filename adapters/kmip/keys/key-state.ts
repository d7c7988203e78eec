import { AdapterError } from '../../contract/index.ts'
import type { Use } from '../errors.ts'
import type { ObjectAttributes } from '../protocol/attributes.ts'
import { state } from '../protocol/numbers.ts'

/**
 * Throws unless a key with these attributes may be used at `now` (KMIP 1.4 §3.22, "State").
 *
 * A Deactivated key may still unwrap, but not wrap. So may a key past its Deactivation Date or Protect Stop Date whose
 * state the server has not updated yet. A Compromised key may do neither.
 */
export function assertUsable(key: ObjectAttributes, use: Use, now: Date): void {
  const disabled = (why: string) => new AdapterError('KEY_DISABLED', `the key ${why}`)
  switch (key.state ?? state.Active) {
    case state.PreActive:
      throw disabled('was not activated')
    case state.Compromised:
      throw disabled('is compromised')
    case state.Destroyed:
    case state.DestroyedCompromised:
      throw new AdapterError('KEY_NOT_FOUND', 'the key is destroyed')
    case state.Deactivated:
      if (use === 'wrap') throw disabled('is deactivated')
  }
  if (isBefore(now, key.activationDate)) throw disabled('is not yet active')
  if (use === 'unwrap' && isBefore(now, key.processStartDate)) throw disabled('may not yet be used to unwrap')
  if (use !== 'wrap') return
  if (isReached(now, key.deactivationDate)) throw disabled('has reached its deactivation date')
  if (isReached(now, key.protectStopDate)) throw disabled('has reached its protect stop date')
}

/** Only the key's attributes are left. */
export const isDestroyed = (key: ObjectAttributes): boolean =>
  key.state === state.Destroyed || key.state === state.DestroyedCompromised

const isBefore = (now: Date, date: Date | undefined) => date !== undefined && now < date
const isReached = (now: Date, date: Date | undefined) => date !== undefined && now >= date
