import type { BlockList, Socket } from 'node:net'
import { plainAddress } from '../base/plain-address.ts'
import { Deadlines } from '../base/deadlines.ts'
import { Clients } from './clients.ts'
import { Debts } from './debts.ts'
import { Doorstep, type Refusal } from './doorstep.ts'
import { Handshakes } from './handshakes.ts'
import { Heard } from './heard.ts'
import { networkOf } from './network.ts'
import { Sources } from './sources.ts'
import { stages, Stranger, type Arrival, type ShedReason, type Standing } from './stranger.ts'
import { Watch } from './watch.ts'

/** With at most this many strangers and short turns of the event loop, handshakes start at once. */
const FEW = 8

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
  readonly #sources = new Sources()
  #strangers = 0
  readonly #heard: Heard
  readonly #clients: Clients
  readonly #debts = new Debts()
  readonly #watch = new Watch(this.#debts, (stranger) => this.#close(stranger, 'too_many_bytes'))
  readonly #handshakes = new Handshakes({
    begin: (stranger) => this.#options.begin(stranger),
    mustWait: ({ network }, now) => this.#debts.mustWait(network, now),
    isOnProbation: ({ network }, now) => this.#debts.isOnProbation(network, now),
    giveUp: (stranger) => this.#onTimeUp(stranger),
    turn: () => this.#watch.settle(),
  })
  readonly #doorstep: Doorstep

  constructor(limits: GateLimits, options: GateOptions) {
    this.#limits = limits
    this.#deadlines = new Deadlines(limits.handshakeMs)
    this.#options = options
    this.#clients = new Clients((stranger) => options.idleSince?.(stranger))
    this.#heard = new Heard((stranger) => options.idleSince?.(stranger))
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
    const source = this.#sources.of(networkOf(address))
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
      if (standing.kind === 'allowed') this.#sources.widen(stranger.source)
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
      stranger.fallBack(this.#sources.of(stranger.source.network))
      this.#watch.add(stranger)
    }
    stranger.enter(stage)
    this.#heard.add(stranger)
    const { source } = stranger
    const isOnProbation = this.#debts.isOnProbation(source.network, performance.now())
    const next = () => this.#heard.excess(source, isOnProbation)
    for (let excess = next(); excess !== undefined; excess = next()) this.#close(excess, 'too_many_unverified')
  }

  /** Makes room for one more stranger. */
  #makeRoom(): void {
    if (this.#strangers < this.#limits.maxUnverifiedConnections) return
    const leaver = this.#sources.greediest()
    if (leaver !== undefined) this.#close(leaver, 'too_many_unverified')
  }

  #introduce(stranger: Stranger, address: string, headerBytes: number): void {
    const { source } = stranger
    stranger.introduce(address, this.#sources.of(networkOf(address)), headerBytes)
    if (source.size === 0) this.#sources.desert(source)
  }

  #refuse(stranger: Stranger, refusal: Refusal): void {
    this.#options.onRefused?.(stranger, refusal)
    this.#forget(stranger)
    stranger.socket.destroy()
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
    this.#heard.remove(stranger)
    this.#strangers -= 1
    if (source.size === 0) this.#sources.desert(source)
    this.#handshakes.ended(stranger)
  }
}

/** The connection's end says enough. */
const ignore = () => undefined
