import type { CallSignal } from './call-signal.ts'

/**
 * Waits for `work` until `signal` fires. `work` itself goes on, because other callers may share it. A value that is not
 * a promise is returned at once.
 * @param discard gets the result if it comes after the signal has fired
 * @throws the signal's reason once the signal has fired, or what `work` rejects with
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
