import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
/** A full collection, done when it returns. */
export const collectGarbage = runInNewContext('gc') as () => void

/** MiB that this process holds and could not give back: V8's heap after a full collection, and what hangs on it outside. */
export function heldMiB(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}
