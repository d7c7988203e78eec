/**
 * The share of the event loop that one network may use beyond ordinary handshakes. At a hundredth, the 99th percentile
 * of all other requests does not show it.
 */
const SHARE = 0.01
/** Milliseconds of the event loop that a network may owe before it has to wait. A garbage collection can hit anyone. */
const CREDIT_MS = 50
/** The longest time that a network has to wait, in milliseconds. */
const MAX_WAIT_MS = 300_000
const MAX_NETWORKS = 10_000

/** The debt of each network for the event-loop time that its strangers took. It pays by waiting. */
export class Debts {
  /** When each network will have paid, on `performance.now()`'s clock. The last charged network is the last. */
  readonly #paidAt = new Map<string, number>()

  /** @param ms milliseconds of the event loop */
  charge(network: string, ms: number, now: number): void {
    const owed = Math.max(0, (this.#paidAt.get(network) ?? now) - now)
    this.#paidAt.delete(network)
    this.#forgetSome(now)
    this.#paidAt.set(network, now + Math.min(MAX_WAIT_MS, owed + ms / SHARE))
  }

  /** Takes back a charge. */
  refund(network: string, ms: number): void {
    const paidAt = this.#paidAt.get(network)
    if (paidAt !== undefined) this.#paidAt.set(network, paidAt - ms / SHARE)
  }

  /** Whether a network has to wait before its next handshake. */
  mustWait(network: string, now: number): boolean {
    const paidAt = this.#paidAt.get(network)
    return paidAt !== undefined && paidAt - now > CREDIT_MS / SHARE
  }

  get size(): number {
    return this.#paidAt.size
  }

  /** Forgets paid debts, and beyond the bound the oldest one. */
  #forgetSome(now: number): void {
    for (const [network, paidAt] of this.#paidAt) {
      if (paidAt > now && this.#paidAt.size < MAX_NETWORKS) return
      this.#paidAt.delete(network)
    }
  }
}
