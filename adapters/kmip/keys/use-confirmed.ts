import { abortable, type CallSignal } from '../../contract/index.ts'
import type { FoundKey } from './key-ring.ts'
import type { KmipKey } from './kmip-key.ts'

/** What came of using a key, and the key that was used. */
export interface Used {
  readonly key: KmipKey
  readonly result: Uint8Array
}

/**
 * Uses a key, and where what is known of it is old, waits for what the server says of it meanwhile. The two trips go at the
 * same time, since one after the other they would come too late from a server that is far away. What came of the key is
 * released only if it may still be used so.
 *
 * @param assertAllowed throws unless the key may be used so
 */
export async function useConfirmed(
  { key, confirmed }: FoundKey,
  assertAllowed: (key: KmipKey) => void,
  use: (key: KmipKey) => Promise<Used>,
  signal: CallSignal,
): Promise<Uint8Array> {
  if (confirmed === undefined) return (await use(key)).result
  const believed = attempt(() => assertAllowed(key))
  if (!believed) return (await use(await abortable(confirmed, signal))).result
  const [used, now] = await Promise.allSettled([use(key), abortable(confirmed, signal)])
  const same = now.status === 'fulfilled' && now.value.id === (used.status === 'fulfilled' ? used.value.key : key).id
  if (same && attempt(() => assertAllowed(now.value))) {
    if (used.status === 'fulfilled') return used.value.result
    throw used.reason
  }
  if (used.status === 'fulfilled') used.value.result.fill(0)
  if (now.status === 'rejected') throw now.reason
  assertAllowed(now.value)
  return (await use(now.value)).result
}

function attempt(work: () => void): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}
