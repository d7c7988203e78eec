import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CallContext } from '../../adapters/contract/index.ts'

/**
 * The outcome of a call. Rejects if the call is not over in the turn of the event loop that follows its deadline: a
 * bound of milliseconds would measure how busy the machine is.
 */
export function inTime<Result>({ signal }: CallContext, call: Promise<Result>): Promise<Result> {
  const outlasts = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new Error('the call outlasts its deadline'))
    signal.addEventListener(
      'abort',
      () =>
        void nextTurn()
          .then(() => nextTurn())
          .then(fail),
    )
  })
  return Promise.race([call, outlasts])
}
