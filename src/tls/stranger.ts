import type { Socket } from 'node:net'
import type { Deadlines, Timed } from '../base/deadlines.ts'
import { Queue, type Place } from '../base/queue.ts'

/**
 * Why the gate closed a connection: it sent nothing, its handshake took too long, it sent too many bytes before it had
 * shown an allowed client's certificate, or there were too many connections, of strangers or of allowed clients.
 */
export const shedReasons = ['silent', 'handshake_timeout', 'too_many_bytes', 'too_many_unverified', 'too_many'] as const
export type ShedReason = (typeof shedReasons)[number]

/** The client of a connection after its handshake. */
export type Standing =
  /** Some pool allows the client. One `identity` cannot take the connections of all. */
  | { readonly kind: 'allowed'; readonly identity: string }
  /** The certificate is good, but no pool allows the client. */
  | { readonly kind: 'verified' }
  | { readonly kind: 'stranger' }

/** A connection that the gate has admitted. */
export interface Arrival {
  readonly socket: Socket
  /** The client's address. Behind a balancer that sends PROXY headers, the header names it. */
  readonly address: string
  /** The network of the address: see {@link networkOf}. */
  readonly network: string
  /** Whether some pool allows the client. */
  readonly isAllowed: boolean
  /** True if the client has not sent a byte. */
  readonly isSilent: boolean
  /** Bytes that the client has sent below TLS, without a balancer's PROXY header. */
  readonly bytesRead: number
  /** Why the gate closed the connection, if it did. */
  readonly shedReason: ShedReason | undefined
}

/**
 * Bytes that a client may send before its certificate has shown that a pool allows it: a hello and a certificate chain,
 * of which OpenSSL takes 100 KiB; or a chain of 24 KiB, a request's header of 16 KiB, the largest body by default, and
 * what Node.js reads ahead meanwhile. A client that sends that much still gets its 401.
 */
const MAX_STRANGER_BYTES = 160 * 1024

/**
 * The stages in the order in which strangers are given up: the handshake is done; nothing was sent; waiting; handshake.
 */
export const stages = ['unverified', 'verified', 'silent', 'waiting', 'handshake'] as const
export type Stage = (typeof stages)[number]

/**
 * How many handshakes a network without allowed clients may have under way. Their cost is unknown before their end, and
 * all can end in the same turn of the event loop.
 */
export const FIRST_WINDOW = 4
const MAX_WINDOW = 128

/** The strangers of one network. They are in queues, because a handshake must leave no long-lived garbage. */
export class Source {
  readonly network: string
  readonly in: Readonly<Record<Stage, Queue<Stranger>>> = {
    unverified: new Queue(),
    verified: new Queue(),
    silent: new Queue(),
    waiting: new Queue(),
    handshake: new Queue(),
  }
  /** Its place among the networks that wait for a handshake. */
  place: Place<Source> | undefined
  /** How many of its handshakes are under way. */
  underWay = 0
  /** How many unfinished handshakes it may have. */
  window: number
  #size = 0

  constructor(network: string, window = FIRST_WINDOW) {
    this.network = network
    this.window = window
  }

  /** The number of its strangers in all stages. */
  get size(): number {
    return this.#size
  }

  join(stranger: Stranger, stage: Stage): Place<Stranger> {
    this.#size += 1
    return this.in[stage].join(stranger)
  }

  leave(place: Place<Stranger>, stage: Stage): void {
    if (this.in[stage].leave(place)) this.#size -= 1
  }

  /** A handshake was an allowed client's, so the window grows. */
  widen(): void {
    this.window = Math.min(MAX_WINDOW, this.window + 1)
  }
}

/** The place in which an allowed client's connection is counted. */
export interface Seat {
  readonly identity: string
  readonly place: Place<Stranger>
  /** The time of counting, on `performance.now()`'s clock. */
  readonly since: number
}

/** A connection. Its client is a stranger until it has shown a certificate that a pool allows. */
export class Stranger implements Arrival, Timed {
  readonly socket: Socket
  readonly deadline: number
  address: string
  source: Source
  shedReason: ShedReason | undefined
  /** Set for an allowed client, which is no longer a stranger. */
  seat: Seat | undefined
  /** When its handshake began, on `performance.now()`'s clock. */
  begun = 0
  /** Its place among the handshakes that are under way. */
  underWay: Place<Stranger> | undefined
  /** Its place among the strangers whose handshake is done. */
  heard: Place<Stranger> | undefined
  /** Its place among the watched strangers. */
  watched: Place<Stranger> | undefined
  /** What its network was charged for it, in milliseconds of the event loop. */
  charged = 0
  /** The number of its bytes at the last look. */
  seenBytes = 0
  /** The number of its bytes when it became a stranger. */
  #firstByte = 0
  #headerBytes = 0
  #stage: Stage | undefined = 'silent'
  #place: Place<Stranger> | undefined
  readonly #deadlines: Deadlines
  #timed: Place<Timed> | undefined
  readonly #onTimeUp: (stranger: Stranger) => void

  /** @param came time of the connection, on `performance.now()`'s clock */
  constructor(
    socket: Socket,
    address: string,
    source: Source,
    came: number,
    deadlines: Deadlines,
    onTimeUp: (stranger: Stranger) => void,
  ) {
    this.socket = socket
    this.address = address
    this.source = source
    this.#place = source.join(this, 'silent')
    this.deadline = came + deadlines.budgetMs
    this.#deadlines = deadlines
    this.#timed = deadlines.add(this)
    this.#onTimeUp = onTimeUp
  }

  get network(): string {
    return this.source.network
  }

  get isAllowed(): boolean {
    return this.seat !== undefined
  }

  get isSilent(): boolean {
    return this.bytesRead === 0
  }

  get bytesRead(): number {
    return Math.max(0, this.socket.bytesRead - this.#headerBytes)
  }

  /** The bytes that it may send before it is cut. A waiting stranger is not read from. */
  get maxBytes(): number {
    return this.#stage === 'silent' || this.#stage === 'waiting' ? Infinity : this.#firstByte + MAX_STRANGER_BYTES
  }

  /** Undefined for an allowed client, and for a closed connection. */
  get stage(): Stage | undefined {
    return this.#stage
  }

  enter(stage: Stage): void {
    this.leave()
    this.#stage = stage
    this.#place = this.source.join(this, stage)
  }

  /** A balancer's header of `headerBytes` has named the client. */
  introduce(address: string, source: Source, headerBytes: number): void {
    this.leave()
    this.address = address
    this.source = source
    this.#headerBytes = headerBytes
    this.seenBytes = 0
    this.enter('silent')
  }

  /** An allowed client becomes a stranger again. */
  fallBack(source: Source): void {
    this.source = source
    this.#firstByte = this.bytesRead
  }

  leave(): void {
    if (this.#stage === undefined || this.#place === undefined) return
    this.source.leave(this.#place, this.#stage)
    this.#place = this.#stage = undefined
  }

  timeUp(): void {
    this.#onTimeUp(this)
  }

  /** It has no deadline any more. */
  endTime(): void {
    if (this.#timed !== undefined) this.#deadlines.remove(this.#timed)
    this.#timed = undefined
  }
}
