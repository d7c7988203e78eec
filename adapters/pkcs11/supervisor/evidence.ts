import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyWitness, Testimony, Witness } from '../keys/witness.ts'
import type { Finding } from './finding.ts'
import type { Host } from './host.ts'

/** SoftHSM 2.6.1 fails for a moment when another process changes the token. */
const ATTEMPTS = 3
const AGAIN_MS = 30
/** How many keys are tried before the token counts as sick. */
const MAX_KEYS = 4

/** What may be concluded from what: docs/adr/0008. */
export class Evidence {
  /** Witnesses of the keys that worked last, latest last, by selector and way. */
  readonly #recent = new Map<string, Map<string, KeyWitness>>()
  #latest = ''

  /** Witnesses of the keys that worked last, latest first. */
  get recent(): readonly KeyWitness[] {
    return [...this.#recent.values()].toReversed().flatMap((ways) => [...ways.values()])
  }

  /** Records that the witness's key has just worked. */
  worked(witness: KeyWitness): void {
    const { selector, wayName } = witness
    const ways = this.#recent.get(selector) ?? new Map<string, KeyWitness>()
    ways.set(wayName, witness)
    if (this.#latest === selector) return
    this.#latest = selector
    this.#recent.delete(selector)
    this.#recent.set(selector, ways)
    const [oldest] = this.#recent.keys()
    if (oldest !== undefined && this.#recent.size > MAX_KEYS) this.#recent.delete(oldest)
  }

  /** Forgets a key that is gone. */
  drop(selector: string): void {
    this.#recent.delete(selector)
    if (this.#latest === selector) this.#latest = ''
  }

  clear(): void {
    this.#recent.clear()
    this.#latest = ''
  }

  /** Finds out the cause on `host`, where a call has failed whose witness is `own`. */
  async judge(host: Host, own: Witness | undefined): Promise<Finding> {
    for (let attempt = 1; ; attempt += 1) {
      const said = (await own?.testify(host.crypt)) ?? 'unknown'
      if (said === 'works') return 'call'
      if (said === 'unknown' || attempt === ATTEMPTS) {
        const others = await this.#askOthers(host, own)
        if (others === 'works') return own === undefined ? 'call' : said === 'unknown' ? 'unclear' : 'key'
        // Nothing else can be learned. It must suffice that the token answers at all.
        if (said === 'unknown' && others === 'unknown' && (await answers(host))) return 'unclear'
      }
      if (host.state === 'gone') return 'nothing'
      if (attempt === ATTEMPTS) return 'token'
      await sleep(AGAIN_MS)
    }
  }

  /** Whether the token of `host` answers, and a recently used key can be used on it. */
  async isWell(host: Host): Promise<boolean> {
    return (await answers(host)) && (await this.judge(host, undefined)) !== 'token'
  }

  async #askOthers(host: Host, own: Witness | undefined): Promise<Testimony> {
    let said: Testimony = 'unknown'
    for (const witness of this.recent) {
      if (witness === own) continue
      const answer = await witness.testify(host.crypt)
      if (answer === 'works') return answer
      if (answer !== 'unknown') said = answer
    }
    return said
  }
}

const answers = (host: Host): Promise<boolean> =>
  host.probe().then(
    () => true,
    () => false,
  )
