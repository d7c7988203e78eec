import { randomBytes } from 'node:crypto'
import { AdapterError } from '../../../adapters/contract/index.ts'
import type { Pkcs11Adapter } from '../../../adapters/pkcs11/index.ts'
import { contextUntil, ref, sleep } from './harness.ts'

export interface Outcome {
  good: number
  wrong: number
  readonly errors: unknown[]
}

/**
 * Callers that wrap and unwrap with the key `aes` until they are stopped. On a busy machine, give them a deadline
 * longer than Azure's so that a late call does not count as lost.
 */
export function startTraffic(adapter: Pkcs11Adapter, callers: number, deadlineMs: number) {
  const dek = randomBytes(32)
  const outcome: Outcome = { good: 0, wrong: 0, errors: [] }
  const within = () => contextUntil(deadlineMs, new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed'))
  let stopped = false
  const call = async () => {
    while (!stopped) {
      try {
        const wrapped = await adapter.wrap(ref('aes'), 'A256KW', dek, within())
        const result = await adapter.unwrap(ref('aes'), 'A256KW', wrapped, within())
        if (Buffer.compare(result, dek) === 0) outcome.good++
        else outcome.wrong++
      } catch (error) {
        outcome.errors.push(error)
      }
      // An unthrottled load would take the core from other tests.
      await sleep(5)
    }
  }
  const all = Promise.all(Array.from({ length: callers }, call))
  return {
    outcome,
    stop: async () => {
      stopped = true
      await all
      return outcome
    },
  }
}
