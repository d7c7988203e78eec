import { abortable, type CallSignal } from '../../contract/index.ts'
import type { FoundKey } from './key-ring.ts'
import type { KmipKey } from './kmip-key.ts'

/** The result of using a key, and the key that was used. */
export interface Used {
  readonly key: KmipKey
  readonly result: Uint8Array
}

/**
 * Uses a key. If its description is old, it also waits for the server's present description. The two round trips run at
 * the same time; one after the other would be too late on a server that is far away. The result is released only if the
 * key may still be used.
 *
 * @param assertAllowed throws unless the key may be used in this way
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
