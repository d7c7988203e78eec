import type { CallContext } from '../../../adapters/contract/index.ts'
import { Call } from '../../ekm/backend/call.ts'

/** The awaited result did not come in time. */
export class TooSlow extends Error {
  override readonly name = 'TooSlow'
}

/**
 * Waits for `work`, but at most `ms` milliseconds.
 * @param discard gets a result that comes later
 * @throws TooSlow after that time
 */
export function within<T>(ms: number, work: Promise<T>, discard: (late: T) => void = () => undefined): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let late = false
    const timer = setTimeout(() => {
      late = true
      reject(new TooSlow(`no answer within ${ms} ms`))
    }, ms)
    work.then(
      (value) => {
        clearTimeout(timer)
        if (late) discard(value)
        else resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

/**
 * Makes one call of an adapter, with a deadline like a request's. If the adapter ignores the deadline, the call is
 * abandoned.
 */
export async function callWithin<T>(
  ms: number,
  ask: (context: CallContext) => Promise<T>,
  discard?: (late: T) => void,
): Promise<T> {
  const call = new Call(ms)
  call.correlationId = 'ekm-gateway-check'
  try {
    return await call.run(ask(call), discard)
  } finally {
    call.end()
  }
}
