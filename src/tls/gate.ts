import type { BlockList, Socket } from 'node:net'
import { Deadlines } from '../base/deadlines.ts'
import { Line } from '../base/line.ts'
import { Clients } from './clients.ts'
import { Debts } from './debts.ts'
import { Doorstep, type Refusal } from './doorstep.ts'
import { Handshakes } from './handshakes.ts'
import { networkOf } from './network.ts'
import { Source, stages, Stranger, type Arrival, type ShedReason, type Standing } from './stranger.ts'
import { Watch } from './watch.ts'

/** With at most so many strangers and short turns of the event loop, handshakes start at once. */
const FEW = 8
/** The handshakes that a network may have under way when it comes back, and how many networks are remembered. */
const MAX_REMEMBERED_WINDOW = 16
const MAX_WINDOWS = 1000
/**
 * So many connections may there be, of a network and in all, that are done with their handshake, are no allowed client's, and
 * ask nothing. Each can send what it has left of its bytes at any time, and all of them in the same turn of the event loop: of
 * key updates, that is half a second for each. While they are answered there can be a few more.
 */
const MAX_IDLE_STRANGERS = { ofNetwork: 4, inAll: 8 } as const
const MAX_BUSY_STRANGERS = 32

export interface GateLimits {
  /** Connections of allowed clients at a time. */
  readonly maxConnections: number
  /** All other connections at a time: strangers, and clients with a good certificate that no pool allows. */
  readonly maxUnverifiedConnections: number
  /** Milliseconds from a connection to the end of its handshake. */
  readonly handshakeMs: number
  /** From where connections begin with a PROXY header; from nowhere if absent. */
  readonly proxyProtocol?: BlockList | undefined
}

/** Open connections, by the standing of their client. */
export interface ConnectionCounts {
  readonly allowed: number
  /** With a good certificate that no pool allows. */
  readonly verified: number
  readonly unverified: number
}

export interface GateOptions {
  /** Begins TLS on a connection whose first bytes can be read from it. */
  readonly begin: (arrival: Arrival) => void
  /** Is told of each connection that the gate closes. */
  readonly onShed: (reason: ShedReason) => void
  readonly onRefused?: (arrival: Arrival, refusal: Refusal) => void
  /**
   * Since when an allowed client's connection has served no request, on `performance.now()`'s clock. Infinity while it
   * serves one; undefined if it never did.
   */
  readonly idleSince?: (arrival: Arrival) => number | undefined
}

/**
 * Stands between the port and TLS. It decides who may begin a handshake, and who has to go.
 *
 *     admit ─> silent ─> waiting ─> handshake ─┬─> allowed     at most maxConnections
 *                 └─── few strangers ───┘      ├─> verified  ┐ with the stages before:
 *                                              └─> unverified┘ at most maxUnverifiedConnections
 *
 * A balancer's PROXY header comes while the connection is silent.
 *
 * - A handshake costs about a millisecond of the event loop, and everybody can ask for one. With more than a few strangers
 *   it begins only when its ClientHello is there, one in each turn of the event loop ({@link Handshakes}).
 * - Strangers never take the place of an allowed client: the two are counted apart. Beyond the bound, the network that has
 *   most strangers loses one, and the identity that has most allowed connections ({@link Clients}).
 * - What strangers send is bounded, and their network waits for what they cost beyond a handshake ({@link Watch},
 *   {@link Debts}).
 */
export class Gate {
  #limits: GateLimits
  #deadlines: Deadlines
  readonly #options: GateOptions
  readonly #sources = new Map<string, Source>()
  /** Of networks that have shown allowed clients; the one that did so last is the last. */
  readonly #windows = new Map<string, number>()
  #strangers = 0
  /** Who is done with its handshake and is no allowed client, the oldest first. */
  readonly #heard = new Line<Stranger>()
  readonly #clients: Clients
  readonly #debts = new Debts()
  readonly #watch = new Watch(this.#debts, (stranger) => this.#close(stranger, 'too_many_bytes'))
  readonly #handshakes = new Handshakes({
    begin: (stranger) => this.#options.begin(stranger),
    mustWait: ({ network }, now) => this.#debts.mustWait(network, now),
    giveUp: (stranger) => this.#onTimeUp(stranger),
    turn: () => this.#watch.settle(),
  })
  readonly #doorstep: Doorstep

  constructor(limits: GateLimits, options: GateOptions) {
    this.#limits = limits
    this.#deadlines = new Deadlines(limits.handshakeMs)
    this.#options = options
    this.#clients = new Clients((stranger) => options.idleSince?.(stranger))
    this.#doorstep = new Doorstep(
      {
        introduced: (stranger, address, headerBytes) => this.#introduce(stranger, address, headerBytes),
        isOpenFor: ({ source }, now) => this.#strangers <= FEW && this.#handshakes.isOpenFor(source, now),
        ready: (stranger, atOnce) =>
          atOnce ? this.#handshakes.start(stranger, performance.now()) : this.#handshakes.enqueue(stranger),
        refused: (stranger, refusal) => this.#refuse(stranger, refusal),
      },
      limits.proxyProtocol,
    )
  }

  /** Takes other limits; who is there already keeps the time it was given. */
  renew(limits: GateLimits): void {
    if (limits.handshakeMs !== this.#limits.handshakeMs) this.#deadlines = new Deadlines(limits.handshakeMs)
    this.#limits = limits
    this.#doorstep.renew(limits.proxyProtocol)
    this.#watch.forget()
  }

  get connections(): ConnectionCounts {
    let verified = 0
    for (const source of this.#sources.values()) verified += source.in.verified.size
    return { allowed: this.#clients.size, verified, unverified: this.#strangers - verified }
  }

  /** Takes a new connection. */
  admit(socket: Socket): void {
    socket.on('error', ignore)
    const address = socket.remoteAddress
    // Reset before it could be accepted, as a balancer's check does it.
    if (address === undefined) {
      this.#options.onShed('silent')
      socket.destroy()
      return
    }
    this.#makeRoom()
    this.#watch.settle()
    const now = performance.now()
    const source = this.#sourceOf(networkOf(address))
    const stranger = new Stranger(socket, address, source, now, this.#deadlines, this.#onTimeUp)
    this.#strangers += 1
    this.#watch.add(stranger)
    socket.on('close', () => this.#forget(stranger))
    this.#doorstep.receive(stranger, now)
  }

  /** As in {@link Doorstep.suspectProxyHeaders}. */
  suspectProxyHeaders(): void {
    this.#doorstep.suspectProxyHeaders()
  }

  /**
   * Says how a connection's handshake ended.
   *
   * @param costMs what other threads did for it, in milliseconds of a core; charged unless the client is allowed
   */
  handshakeDone(arrival: Arrival, standing: Standing, costMs = 0): void {
    const stranger = arrival as Stranger
    if (stranger.stage !== undefined) {
      stranger.endTime()
      if (standing.kind === 'allowed') this.#widen(stranger.source)
    }
    this.restate(stranger, standing, costMs)
    // Only now is its place in the window of its network free.
    this.#handshakes.ended(stranger)
  }

  /**
   * Says that a connection's client has another standing than before, for instance after a reload.
   *
   * @param costMs as in {@link Gate.handshakeDone}
   */
  restate(arrival: Arrival, standing: Standing, costMs = 0): void {
    const stranger = arrival as Stranger
    if (standing.kind !== 'allowed') this.#debts.charge(stranger.source.network, costMs, performance.now())
    if (stranger.stage === undefined && stranger.seat === undefined) return
    if (standing.kind === 'allowed') this.#allow(stranger, standing.identity)
    else this.#distrust(stranger, standing.kind === 'verified' ? 'verified' : 'unverified')
  }

  /** A request of an allowed client begins: what it takes is not charged to a stranger. */
  noteRequest(): void {
    this.#watch.mark()
  }

  /** Closes the connections of strangers. */
  close(): void {
    for (const source of this.#sources.values()) {
      for (const stage of stages) for (const { socket } of source.in[stage].values()) socket.destroy()
    }
  }

  #allow(stranger: Stranger, identity: string): void {
    if (stranger.seat?.identity === identity) return
    this.#watch.acquit(stranger)
    this.#removeStranger(stranger)
    this.#clients.remove(stranger)
    if (this.#clients.size >= this.#limits.maxConnections) {
      const leaver = this.#clients.whoGivesWay(identity)
      this.#close(leaver ?? stranger, 'too_many')
      if (leaver === undefined) return
    }
    this.#clients.add(stranger, identity)
  }

  #distrust(stranger: Stranger, stage: 'verified' | 'unverified'): void {
    if (stranger.seat !== undefined) {
      this.#clients.remove(stranger)
      this.#makeRoom()
      this.#strangers += 1
      stranger.fallBack(this.#sourceOf(stranger.source.network))
      this.#watch.add(stranger)
    }
    stranger.enter(stage)
    stranger.heard ??= this.#heard.join(stranger)
    this.#boundHeard(stranger.source)
  }

  #boundHeard(source: Source): void {
    if (this.#heard.size <= MAX_IDLE_STRANGERS.ofNetwork) return
    const heard = this.#heard.values()
    const idle = heard.filter((stranger) => this.#options.idleSince?.(stranger) !== Infinity)
    const ofNetwork = idle.filter((stranger) => stranger.source === source)
    if (ofNetwork.length > MAX_IDLE_STRANGERS.ofNetwork) this.#giveUp(ofNetwork)
    else if (idle.length > MAX_IDLE_STRANGERS.inAll) this.#giveUp(idle)
    else if (heard.length > MAX_BUSY_STRANGERS) this.#giveUp(heard)
  }

  #giveUp([oldest]: readonly Stranger[]): void {
    if (oldest !== undefined) this.#close(oldest, 'too_many_unverified')
  }

  /** Makes room for one stranger more. */
  #makeRoom(): void {
    if (this.#strangers < this.#limits.maxUnverifiedConnections) return
    const greediest = this.#greediest()
    if (greediest !== undefined) this.#giveUp([greediest])
  }

  #sourceOf(network: string): Source {
    let source = this.#sources.get(network)
    if (source === undefined) this.#sources.set(network, (source = new Source(network, this.#windows.get(network))))
    return source
  }

  #widen(source: Source): void {
    source.widen()
    this.#windows.delete(source.network)
    this.#windows.set(source.network, Math.min(MAX_REMEMBERED_WINDOW, source.window))
    const [oldest] = this.#windows.keys()
    if (this.#windows.size > MAX_WINDOWS && oldest !== undefined) this.#windows.delete(oldest)
  }

  #introduce(stranger: Stranger, address: string, headerBytes: number): void {
    const { source } = stranger
    stranger.introduce(address, this.#sourceOf(networkOf(address)), headerBytes)
    if (source.size === 0) this.#sources.delete(source.network)
  }

  #refuse(stranger: Stranger, refusal: Refusal): void {
    this.#options.onRefused?.(stranger, refusal)
    this.#forget(stranger)
    stranger.socket.destroy()
  }

  /** The stranger that can best be given up: of the network that has most, the oldest of the first stage there is. */
  #greediest(): Stranger | undefined {
    let greediest: Source | undefined
    for (const source of this.#sources.values()) {
      if (greediest === undefined || source.size > greediest.size) greediest = source
    }
    const stage = stages.find((name) => greediest?.in[name].size)
    return stage && greediest?.in[stage].first?.value
  }

  readonly #onTimeUp = (stranger: Stranger) => this.#close(stranger, stranger.isSilent ? 'silent' : 'handshake_timeout')

  #close(stranger: Stranger, reason: ShedReason): void {
    stranger.shedReason = reason
    this.#options.onShed(reason)
    this.#forget(stranger)
    stranger.socket.destroy()
  }

  #forget(stranger: Stranger): void {
    this.#watch.remove(stranger)
    this.#clients.remove(stranger)
    this.#removeStranger(stranger)
  }

  #removeStranger(stranger: Stranger): void {
    if (stranger.stage === undefined) return
    const { source } = stranger
    stranger.endTime()
    stranger.leave()
    if (stranger.heard !== undefined) this.#heard.leave(stranger.heard)
    stranger.heard = undefined
    this.#strangers -= 1
    if (source.size === 0) this.#sources.delete(source.network)
    this.#handshakes.ended(stranger)
  }
}

const ignore = () => undefined
