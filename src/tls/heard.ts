import { Queue } from '../base/queue.ts'
import type { Source, Stranger } from './stranger.ts'

/**
 * The most idle strangers of one network and of all networks: their handshake is done, no pool allows them, and they
 * have no request. Each can send the rest of its bytes at any time, and all can do so in the same turn of the event
 * loop: for key updates, that is half a second each. There can be a few more while their requests are answered.
 */
const MAX_IDLE_STRANGERS = { ofNetwork: 4, inAll: 8 } as const
const MAX_BUSY_STRANGERS = 32

/** Strangers whose handshake is done, the oldest first. */
export class Heard {
  readonly #strangers = new Queue<Stranger>()
  readonly #idleSince: (stranger: Stranger) => number | undefined

  /** @param idleSince as in {@link GateOptions} */
  constructor(idleSince: (stranger: Stranger) => number | undefined) {
    this.#idleSince = idleSince
  }

  add(stranger: Stranger): void {
    stranger.heard ??= this.#strangers.join(stranger)
  }

  remove(stranger: Stranger): void {
    if (stranger.heard !== undefined) this.#strangers.leave(stranger.heard)
    stranger.heard = undefined
  }

  /**
   * The stranger to give up, because `source` or all networks together have too many.
   *
   * @param isOnProbation whether the network may have only one
   */
  excess(source: Source, isOnProbation: boolean): Stranger | undefined {
    const mostOfNetwork = isOnProbation ? 1 : MAX_IDLE_STRANGERS.ofNetwork
    if (this.#strangers.size <= mostOfNetwork) return undefined
    const heard = this.#strangers.values()
    const idle = heard.filter((stranger) => this.#idleSince(stranger) !== Infinity)
    const ofNetwork = idle.filter((stranger) => stranger.source === source)
    if (ofNetwork.length > mostOfNetwork) return ofNetwork[0]
    if (idle.length > MAX_IDLE_STRANGERS.inAll) return idle[0]
    return heard.length > MAX_BUSY_STRANGERS ? heard[0] : undefined
  }
}
