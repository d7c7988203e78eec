import type { Report, Secret } from '../../contract/index.ts'
import { ckrName, ckrRow } from '../cryptoki/ckr-table.ts'
import { TokenError } from '../cryptoki/token-error.ts'

/** Makes one login at a time, and none after a refusal: a few more attempts would lock the PIN. */
export class Logins {
  readonly #pin: Secret | undefined
  readonly #report: Report
  #refused: TokenError | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(pin: Secret | undefined, report: Report) {
    this.#pin = pin
    this.#report = report
  }

  get refused(): TokenError | undefined {
    return this.#refused
  }

  refuse(ckr: number): TokenError {
    if (this.#refused === undefined) {
      const message = `the token refuses the login with ${ckrName(ckr)}; there is no further login with this PIN before a restart`
      this.#refused = TokenError.unavailable(message, ckr)
      this.#report('error', 'hsm_login_refused', { reason: message })
    }
    return this.#refused
  }

  /** Runs `login` after the logins before it. */
  run<Result>(login: (pin: Uint8Array | undefined) => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(async () => {
      if (this.#refused) throw this.#refused
      const pin = this.#pin?.reveal()
      try {
        return await login(pin)
      } catch (error) {
        const ckr = error instanceof TokenError ? error.detail : undefined
        if (ckr !== undefined && ckrRow(ckr).session === 'login-refused') throw this.refuse(ckr)
        throw error
      } finally {
        pin?.fill(0)
      }
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
