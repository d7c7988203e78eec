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

interface Debt {
  /** When the network will have paid, on `performance.now()`'s clock. */
  paidAt: number
  /** The most milliseconds that it has had to wait until then. */
  most: number
}

/** The debt of each network for the event-loop time that its strangers took. It pays by waiting. */
export class Debts {
  /** The last charged network is the last. */
  readonly #debts = new Map<string, Debt>()

  /** @param ms milliseconds of the event loop */
  charge(network: string, ms: number, now: number): void {
    const before = this.#owedBy(network, now)
    this.#debts.delete(network)
    this.#forgetSome(now)
    const paidAt = now + Math.min(MAX_WAIT_MS, (before ? before.paidAt - now : 0) + ms / SHARE)
    this.#debts.set(network, { paidAt, most: Math.max(before?.most ?? 0, paidAt - now) })
  }

  /** Takes back a charge. */
  refund(network: string, ms: number): void {
    const debt = this.#debts.get(network)
    if (debt === undefined) return
    debt.paidAt -= ms / SHARE
    debt.most -= ms / SHARE
  }

  /** Whether a network has to wait before its next handshake. */
  mustWait(network: string, now: number): boolean {
    const debt = this.#owedBy(network, now)
    return debt !== undefined && isLarge(debt.paidAt - now)
  }

  /**
   * Whether a network has had to wait, and has not paid the rest yet. It may go on, with one stranger at a time beside the
   * handshakes of the allowed clients that it has shown: the costs of several would come in one turn of the event loop.
   */
  isOnProbation(network: string, now: number): boolean {
    return isLarge(this.#owedBy(network, now)?.most ?? 0)
  }

  get size(): number {
    return this.#debts.size
  }

  /** Forgets paid debts, and beyond the bound the oldest one. */
  #forgetSome(now: number): void {
    for (const [network, { paidAt }] of this.#debts) {
      if (paidAt > now && this.#debts.size < MAX_NETWORKS) return
      this.#debts.delete(network)
    }
  }

  #owedBy(network: string, now: number): Debt | undefined {
    const debt = this.#debts.get(network)
    return debt !== undefined && debt.paidAt > now ? debt : undefined
  }
}

const isLarge = (owedMs: number): boolean => owedMs > CREDIT_MS / SHARE
