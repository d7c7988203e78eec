import type { CallSignal } from './call-signal.ts'

/**
 * Waits for `work`, which others may share and which goes on, but not longer than until `signal` fires: then rejects with
 * its reason, and `discard` gets what `work` brings later. What is there already is given at once.
 */
export function abortable<T>(work: Promise<T>, signal: CallSignal, discard?: (late: T) => void): Promise<T>
export function abortable<T extends object>(work: T | Promise<T>, signal: CallSignal): T | Promise<T>
export function abortable<T>(work: T | Promise<T>, signal: CallSignal, discard?: (late: T) => void): T | Promise<T> {
  if (!(work instanceof Promise)) return work
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(
      (value) => {
        signal.removeEventListener('abort', onAbort)
        if (signal.aborted) discard?.(value)
        resolve(value)
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort)
        reject(error)
      },
    )
  })
}
