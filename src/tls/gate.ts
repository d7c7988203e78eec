import type { BlockList, Socket } from 'node:net'
import { plainAddress } from '../base/plain-address.ts'
import { Deadlines } from '../base/deadlines.ts'
import { Queue } from '../base/queue.ts'
import { Recent } from '../base/recent.ts'
import { Clients } from './clients.ts'
import { Debts } from './debts.ts'
import { Doorstep, type Refusal } from './doorstep.ts'
import { Handshakes } from './handshakes.ts'
import { networkOf } from './network.ts'
import { FIRST_WINDOW, Source, stages, Stranger, type Arrival, type ShedReason, type Standing } from './stranger.ts'
import { Watch } from './watch.ts'

/** With at most this many strangers and short turns of the event loop, handshakes start at once. */
const FEW = 8
/** The window that is remembered of a network, and the number of networks that are remembered. */
const MAX_REMEMBERED_WINDOW = 16
const MAX_WINDOWS = 1000
/**
 * The most idle strangers of one network and of all networks: their handshake is done, no pool allows them, and they
 * have no request. Each can send the rest of its bytes at any time, and all can do so in the same turn of the event
 * loop: for key updates, that is half a second each. There can be a few more while their requests are answered.
 */
const MAX_IDLE_STRANGERS = { ofNetwork: 4, inAll: 8 } as const
const MAX_BUSY_STRANGERS = 32

export interface GateLimits {
  /** The most connections of allowed clients at a time. */
  readonly maxConnections: number
  /** The most other connections at a time: strangers, and clients with a good certificate that no pool allows. */
  readonly maxUnverifiedConnections: number
  /** Milliseconds from the start of a connection to the end of its handshake. */
  readonly handshakeMs: number
  /** Networks whose connections begin with a PROXY header. Undefined for none. */
  readonly proxyProtocol?: BlockList | undefined
}

/** Open connections, by the standing of their client. */
export interface ConnectionCounts {
  readonly allowed: number
  /** Clients with a good certificate that no pool allows. */
  readonly verified: number
  readonly unverified: number
}

export interface GateOptions {
  /** Begins TLS on a connection whose first bytes can be read from it. */
  readonly begin: (arrival: Arrival) => void
  /** Called when a connection has closed. */
  readonly onClosed?: (arrival: Arrival) => void
  /** Called for each connection that the gate closes. */
  readonly onShed: (reason: ShedReason) => void
  readonly onRefused?: (arrival: Arrival, refusal: Refusal) => void
  /**
   * Since when an allowed client's connection has been without a request, on `performance.now()`'s clock. Infinity
   * while it has one. Undefined if it never had one.
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
  /**
   * The network whose last stranger has gone. It stays among the others until another one is in its place: a client that
   * comes again and again would otherwise change the Map each time, and that leaves garbage that survives.
   */
  #deserted: Source | undefined
  /** Windows of networks with allowed clients. */
  readonly #windows = new Recent<number>(MAX_WINDOWS)
  #strangers = 0
  /** Strangers whose handshake is done, the oldest first. */
  readonly #heard = new Queue<Stranger>()
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

  /** Takes other limits. Present connections keep the time that they were given. */
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
    // Whoever reads it later, an error that nobody handles would end the process.
    socket.on('error', ignore)
    const { remoteAddress } = socket
    // The client reset the connection before it was accepted, as a balancer's check does.
    if (remoteAddress === undefined) {
      this.#options.onShed('silent')
      socket.destroy()
      return
    }
    const address = plainAddress(remoteAddress)
    this.#makeRoom()
    this.#watch.settle()
    const now = performance.now()
    const source = this.#sourceOf(networkOf(address))
    const stranger = new Stranger(socket, address, source, now, this.#deadlines, this.#onTimeUp)
    this.#strangers += 1
    this.#watch.add(stranger)
    socket.on('close', () => {
      this.#forget(stranger)
      this.#options.onClosed?.(stranger)
    })
    this.#doorstep.receive(stranger, now)
  }

  /** Like {@link Doorstep.suspectProxyHeaders}. */
  suspectProxyHeaders(): void {
    this.#doorstep.suspectProxyHeaders()
  }

  /**
   * Tells the gate how a connection's handshake ended.
   *
   * @param costMs time of other threads in milliseconds of a core; charged unless the client is allowed
   */
  handshakeDone(arrival: Arrival, standing: Standing, costMs = 0): void {
    const stranger = arrival as Stranger
    if (stranger.stage !== undefined) {
      stranger.endTime()
      if (standing.kind === 'allowed') this.#widen(stranger.source)
    }
    this.restate(stranger, standing, costMs)
    // Its place in the window of its network becomes free only now.
    this.#handshakes.ended(stranger)
  }

  /**
   * Tells the gate that a connection's client has another standing, for instance after a reload.
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

  /** A request of an allowed client begins. Its time is not charged to a stranger. */
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
    if (ofNetwork.length > MAX_IDLE_STRANGERS.ofNetwork) this.#giveUp(ofNetwork[0])
    else if (idle.length > MAX_IDLE_STRANGERS.inAll) this.#giveUp(idle[0])
    else if (heard.length > MAX_BUSY_STRANGERS) this.#giveUp(heard[0])
  }

  #giveUp(stranger: Stranger | undefined): void {
    if (stranger !== undefined) this.#close(stranger, 'too_many_unverified')
  }

  /** Makes room for one more stranger. */
  #makeRoom(): void {
    if (this.#strangers < this.#limits.maxUnverifiedConnections) return
    this.#giveUp(this.#greediest())
  }

  #sourceOf(network: string): Source {
    let source = this.#sources.get(network)
    if (source === undefined) this.#sources.set(network, (source = new Source(network, this.#windows.get(network))))
    return source
  }

  #desert(source: Source): void {
    const before = this.#deserted
    if (before !== undefined && before !== source && before.size === 0) this.#sources.delete(before.network)
    this.#deserted = source
    source.window = this.#windows.get(source.network) ?? FIRST_WINDOW
  }

  #widen(source: Source): void {
    source.widen()
    this.#windows.set(source.network, Math.min(MAX_REMEMBERED_WINDOW, source.window))
  }

  #introduce(stranger: Stranger, address: string, headerBytes: number): void {
    const { source } = stranger
    stranger.introduce(address, this.#sourceOf(networkOf(address)), headerBytes)
    if (source.size === 0) this.#desert(source)
  }

  #refuse(stranger: Stranger, refusal: Refusal): void {
    this.#options.onRefused?.(stranger, refusal)
    this.#forget(stranger)
    stranger.socket.destroy()
  }

  /** The stranger to give up: of the network with the most strangers, the oldest in the first stage that has any. */
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
    if (source.size === 0) this.#desert(source)
    this.#handshakes.ended(stranger)
  }
}

/** The connection's end says enough. */
const ignore = () => undefined
