import { Recent } from '../base/recent.ts'
import { FIRST_WINDOW, Source, stages, type Stranger } from './stranger.ts'

/** The window that is remembered of a network, and the number of networks that are remembered. */
const MAX_REMEMBERED_WINDOW = 16
const MAX_WINDOWS = 1000

/** The networks of strangers, by address. */
export class Sources {
  readonly #sources = new Map<string, Source>()
  /**
   * The network whose last stranger has gone. It stays among the others until another one is in its place: a client that
   * comes again and again would otherwise change the Map each time, and that leaves garbage that survives.
   */
  #deserted: Source | undefined
  /** Windows of networks with allowed clients. */
  readonly #windows = new Recent<number>(MAX_WINDOWS)

  of(network: string): Source {
    let source = this.#sources.get(network)
    if (source === undefined) this.#sources.set(network, (source = new Source(network, this.#windows.get(network))))
    return source
  }

  values(): Iterable<Source> {
    return this.#sources.values()
  }

  /** Called when the last stranger of a network has gone. */
  desert(source: Source): void {
    const before = this.#deserted
    if (before !== undefined && before !== source && before.size === 0) this.#sources.delete(before.network)
    this.#deserted = source
    source.window = this.#windows.get(source.network) ?? FIRST_WINDOW
  }

  /** A handshake was an allowed client's, so the network may have more of them under way. */
  widen(source: Source): void {
    source.widen()
    this.#windows.set(source.network, Math.min(MAX_REMEMBERED_WINDOW, source.window))
  }

  /** The stranger to give up: of the network with the most strangers, the oldest in the first stage that has any. */
  greediest(): Stranger | undefined {
    let greediest: Source | undefined
    for (const source of this.#sources.values()) {
      if (greediest === undefined || source.size > greediest.size) greediest = source
    }
    const stage = stages.find((name) => greediest?.in[name].size)
    return stage && greediest?.in[stage].first?.value
  }
}
