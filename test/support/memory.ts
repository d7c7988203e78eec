import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
/** Runs a full garbage collection before it returns. */
export const collectGarbage = runInNewContext('gc') as () => void

/** MiB that this process cannot give back: V8's heap after a full collection, and external memory. */
export function heldMiB(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

const PASSING = 60_000

/** MiB that reached V8's old generation while values passed through. */
export function grownOldMiB(pass: (value: object, count: number) => void): number {
  const used = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0
  // The present objects are old from now on, and no full collection is due soon.
  collectGarbage()
  let grown = 0
  let before = used()
  for (let count = 0; count < PASSING; count += 1) {
    pass({ bytes: new Array(100).fill(count) }, count)
    if (count % 100 > 0) continue
    const now = used()
    // A full collection would not reduce the growth that is already counted.
    grown += Math.max(0, now - before)
    before = now
  }
  return grown / 2 ** 20
}
