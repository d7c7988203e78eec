import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Resolves when a server has received nothing for half a second. An adapter that has just been used goes on in the
 * background: it qualifies further algorithms and examines connections.
 */
export async function atRest({ received }: { readonly received: readonly unknown[] }): Promise<void> {
  for (let seen = -1; seen !== received.length; await sleep(500)) seen = received.length
}
