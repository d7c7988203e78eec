import { abortable, wipeableCopy, type CallSignal } from '../../contract/index.ts'

interface Waiting {
  readonly blocks: Uint8Array
  readonly signal: CallSignal
  readonly resolve: (result: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/** Takes whole blocks and returns as many. */
type BlockCall = (blocks: Uint8Array, signal: CallSignal) => Promise<Uint8Array>

/** A request that takes longer than this many milliseconds does not delay later callers. */
const STUCK_MS = 30

/**
 * Combines the blocks that several callers want at the same time into one request. RFC 3394 is a chain of dependent
 * steps, so a single value takes one round trip for each step. But the steps of many values can be combined, and 64
 * callers wait about as long as one. While a request is under way, new blocks are collected for the next request.
 *
 * @param call is ended only when none of the callers who share it waits any longer
 * @param maxBytes the most bytes of one request
 */
export function coalesced(call: BlockCall, maxBytes: number): BlockCall {
  const queue: Waiting[] = []
  let underWay = false

  const takeBatch = (): Waiting[] => {
    const batch: Waiting[] = []
    for (let bytes = 0; queue[0] !== undefined;) {
      bytes += queue[0].blocks.length
      if (batch.length > 0 && bytes > maxBytes) break
      batch.push(...queue.splice(0, 1))
    }
    return batch
  }

  const run = async () => {
    underWay = true
    while (queue.length > 0) {
      const batch = takeBatch()
      let timer: NodeJS.Timeout | undefined
      const stuck = new Promise((resolve) => (timer = setTimeout(resolve, STUCK_MS)))
      await Promise.race([send(call, batch), stuck])
      clearTimeout(timer)
      // Callers who were just answered add their next step before the next request is sent.
      await new Promise((resolve) => setImmediate(resolve))
    }
    underWay = false
  }

  return (blocks, signal) => {
    signal.throwIfAborted()
    const result = new Promise<Uint8Array>((resolve, reject) => {
      queue.push({ blocks: wipeableCopy(blocks), signal, resolve, reject })
    })
    if (!underWay) void run()
    return abortable(result, signal, (late) => late.fill(0))
  }
}

async function send(call: BlockCall, batch: readonly Waiting[]): Promise<void> {
  const request = Buffer.concat(batch.map(({ blocks }) => blocks))
  for (const { blocks } of batch) blocks.fill(0)
  const { signal, release } = whenAllGone(batch.map((waiting) => waiting.signal))
  try {
    const result = await call(request, signal)
    let at = 0
    for (const { blocks, resolve } of batch) resolve(wipeableCopy(result.subarray(at, (at += blocks.length))))
    result.fill(0)
  } catch (error) {
    for (const { reject } of batch) reject(error)
  } finally {
    release()
    request.fill(0)
  }
}

/** Fires when the last of `signals` has fired, with its reason. */
function whenAllGone(signals: readonly CallSignal[]) {
  const controller = new AbortController()
  let waiting = signals.length
  const listeners = signals.map((signal) => {
    const onAbort = () => {
      if (--waiting === 0) controller.abort(signal.reason)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    return () => signal.removeEventListener('abort', onAbort)
  })
  return { signal: controller.signal, release: () => listeners.forEach((remove) => remove()) }
}
