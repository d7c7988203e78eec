import { abortable, type CallSignal } from '../../contract/index.ts'
import { loginRefused } from './negotiation.ts'
import { ServerUnreachable } from './unreachable.ts'

/** Milliseconds for which a refusal of one object's requests is known to be no refusal of the login. */
const FINE_MS = 1000

export interface LoginOptions {
  readonly address: string
  /** Tries the login once, on a connection of its own and without a key. Resolves with whether it is refused. */
  readonly isRefused: () => Promise<boolean>
  /** Called when the login is refused. `began` is when it was tried, on `performance.now()`'s clock. */
  readonly onRefused: (began: number) => void
}

/**
 * Whether a server accepts this client's login. Each request is a login, and a server may lock the account after a few
 * that it refuses.
 */
export class Login {
  readonly #options: LoginOptions
  /** True from a refused login to the next that is accepted. */
  #isRefused = false
  /** Is true if the login is refused. Undefined while nobody asks. */
  #check: Promise<boolean> | undefined
  /** Objects whose requests the server refuses with the reason of a refused login, and until when that is believed. */
  readonly #fineUntil = new Map<string | undefined, number>()

  constructor(options: LoginOptions) {
    this.#options = options
  }

  /**
   * Whether the login is refused, after a request for `object` was refused with that reason: a server may do so for one
   * key alone. The login is tried once for all who ask.
   *
   * @throws ServerUnreachable
   */
  async refuses(object: string | undefined): Promise<boolean> {
    if (this.#isRefused) return true
    if (performance.now() < (this.#fineUntil.get(object) ?? 0)) return false
    this.#check ??= this.#try(object).finally(() => (this.#check = undefined))
    return this.#check
  }

  /**
   * Waits for the result of a try. A request that is sent meanwhile would only be another login.
   * @throws ServerUnreachable if the login is refused; the signal's reason
   */
  async assertAccepted(signal: CallSignal): Promise<void> {
    const isRefused = this.#check === undefined ? this.#isRefused : await abortable(this.#check, signal)
    if (isRefused) throw loginRefused(this.#options.address)
  }

  /** Records that a login was refused that names no key. */
  refused(began: number): void {
    this.#isRefused = true
    this.#options.onRefused(began)
  }

  /** Records that a login was accepted. */
  accepted(): void {
    this.#isRefused = false
  }

  async #try(object: string | undefined): Promise<boolean> {
    const began = performance.now()
    const isRefused = await this.#options.isRefused().catch((error: unknown) => {
      if (error instanceof ServerUnreachable) throw error
      // Without an answer nothing is known.
      return false
    })
    if (isRefused) this.refused(began)
    else this.#believe(object)
    return isRefused
  }

  #believe(object: string | undefined): void {
    const now = performance.now()
    for (const [other, until] of this.#fineUntil) if (until < now) this.#fineUntil.delete(other)
    this.#fineUntil.set(object, now + FINE_MS)
  }
}
