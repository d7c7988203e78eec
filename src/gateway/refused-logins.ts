import { randomBytes } from 'node:crypto'
import { OperatorError, type KeyAdapter } from '../../adapters/contract/index.ts'
import { isLoginRefused, rowOf, type BackendConfig } from '../backends/index.ts'
import { digestOf } from '../config/compare.ts'

const KEY_BYTES = 32
/** More than anybody corrects a PIN. The oldest go first. */
const MOST = 1000

/** A login that a backend has refused. */
export interface RefusedLogin {
  /** A digest of the settings that it was made with, under the key of this gateway's processes. */
  readonly login: string
  /** The OperatorError's code. */
  readonly code: string
}

/** What processes of one gateway need to know each other's refused logins. */
export interface LoginMemory {
  readonly key: Uint8Array
  readonly refused: readonly RefusedLogin[]
}

/**
 * Remembers the logins that were refused, so that none is made again by any reload: a few wrong PINs lock a token. With
 * a PIN that has changed it is another login.
 */
export class RefusedLogins {
  /** Called with a login that was refused here. */
  onRefused: ((refused: RefusedLogin) => void) | undefined
  readonly #key: Uint8Array
  readonly #codes = new Map<string, string>()
  /** Logins that are being made. */
  readonly #underWay = new Map<string, Promise<unknown>>()

  constructor({ key, refused }: LoginMemory = { key: randomBytes(KEY_BYTES), refused: [] }) {
    this.#key = key
    for (const one of refused) this.learn(one)
  }

  /** All of it, for another process. */
  get memory(): LoginMemory {
    return { key: this.#key, refused: [...this.#codes].map(([login, code]) => ({ login, code })) }
  }

  learn({ login, code }: RefusedLogin): void {
    const [oldest] = this.#codes.keys()
    if (this.#codes.size === MOST && oldest !== undefined) this.#codes.delete(oldest)
    this.#codes.set(login, code)
  }

  /**
   * Opens a backend by `open`, unless that would make a login that was refused.
   * @throws OperatorError
   */
  async open(settings: BackendConfig, open: () => Promise<KeyAdapter>): Promise<KeyAdapter> {
    const { kind } = settings
    const login = digestOf({ kind, login: rowOf(settings).login(settings) }, this.#key)
    // A slow backend may be about to refuse the same.
    await this.#underWay.get(login)?.catch(() => undefined)
    const code = this.#codes.get(login)
    if (code !== undefined) throw new OperatorError(code, NOT_AGAIN)
    const opened = open()
    this.#underWay.set(login, opened)
    try {
      return await opened
    } catch (error) {
      if (error instanceof OperatorError && isLoginRefused(error.code)) this.#refuse({ login, code: error.code })
      throw error
    } finally {
      if (this.#underWay.get(login) === opened) this.#underWay.delete(login)
    }
  }

  #refuse(refused: RefusedLogin): void {
    this.learn(refused)
    this.onRefused?.(refused)
  }
}

const NOT_AGAIN =
  'the backend has refused this login before, and it was not tried again: correct the PIN or password; if it was ' +
  'corrected in the backend instead, restart the gateway'
