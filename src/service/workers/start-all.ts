import { availableParallelism } from 'node:os'
import { sideBySide } from '../../base/side-by-side.ts'

/**
 * Starts the workers 0 … `count` - 1, and has each serve: the first alone, then the others. As many load their modules at
 * a time as there are processors. The first so has one of its own, and serves while others still load.
 *
 * @param begin has a worker serve, and returns its port
 * @returns the port of the first
 * @throws the first failure; no worker is spawned after it
 */
export async function startAll<Worker extends { readonly loaded: Promise<unknown> }>(
  count: number,
  spawn: (index: number) => Worker,
  begin: (worker: Worker) => Promise<number>,
): Promise<number> {
  const serving: Promise<number>[] = []
  await sideBySide(count, availableParallelism(), (index) => {
    const worker = spawn(index)
    const begun = serving[0]?.then(() => begin(worker)) ?? begin(worker)
    serving.push(begun)
    return Promise.race([worker.loaded, begun])
  })
  const [port = 0] = await Promise.all(serving)
  return port
}
