import type { Socket } from 'node:net'
import type { Deadlines, Timed } from '../base/deadlines.ts'
import { Line, type Place } from '../base/line.ts'

/**
 * Why a connection was closed unheard: it said nothing, its handshake took too long, it sent too many bytes before it had
 * shown an allowed client's certificate, or there were too many, of strangers or of allowed clients.
 */
export type ShedReason = 'silent' | 'handshake_timeout' | 'too_many_bytes' | 'too_many_unverified' | 'too_many'

/** Who is at the other end of a connection whose handshake is done. */
export type Standing =
  /** Some pool allows the client. One `identity` cannot take the connections of all. */
  | { readonly kind: 'allowed'; readonly identity: string }
  /** Its certificate is good, but no pool allows it. */
  | { readonly kind: 'verified' }
  | { readonly kind: 'stranger' }

/** A connection that the gate has admitted. */
export interface Arrival {
  readonly socket: Socket
  /** The client's; behind a balancer that sends PROXY headers, as the header tells it. */
  readonly address: string
  /** Of the address, as in {@link networkOf}. */
  readonly network: string
  /** Whether some pool allows the client. */
  readonly isAllowed: boolean
  /** Whether the client has not sent a byte. */
  readonly isSilent: boolean
  /** What the client has sent, in bytes below TLS; a balancer's PROXY header is not part of it. */
  readonly bytesRead: number
  /** Why the gate closed the connection, if it did. */
  readonly shedReason: ShedReason | undefined
}

/**
 * What somebody may send before a certificate has shown that a pool allows him: a hello and a certificate chain, of which
 * OpenSSL takes 100 KiB, or a chain of 24 KiB, a request's header of 16, the largest body by default, and what Node.js
 * reads ahead meanwhile. Who sends these still gets its 401.
 */
const MAX_STRANGER_BYTES = 160 * 1024

/** In the order in which strangers are given up: who had their say, who say nothing, who wait, whose handshake goes on. */
export const stages = ['unverified', 'verified', 'silent', 'waiting', 'handshake'] as const
export type Stage = (typeof stages)[number]

/**
 * So many handshakes of a network that has shown no allowed client may be under way. What they cost is not known before
 * their end, and all can end in the same turn of the event loop.
 */
const FIRST_WINDOW = 4
const MAX_WINDOW = 128

/** The strangers of one network. They are in lines, since a handshake must leave no garbage that grows old. */
export class Source {
  readonly network: string
  readonly in: Readonly<Record<Stage, Line<Stranger>>> = {
    unverified: new Line(),
    verified: new Line(),
    silent: new Line(),
    waiting: new Line(),
    handshake: new Line(),
  }
  /** Among those that wait for a handshake. */
  place: Place<Source> | undefined
  /** Its handshakes among those that the gate has under way. */
  underWay = 0
  /** How many handshakes it may have that have not ended. */
  window: number

  constructor(network: string, window = FIRST_WINDOW) {
    this.network = network
    this.window = window
  }

  get size(): number {
    return stages.reduce((size, stage) => size + this.in[stage].size, 0)
  }

  /** A handshake was an allowed client's. */
  widen(): void {
    this.window = Math.min(MAX_WINDOW, this.window + 1)
  }
}

/** Where the connection of an allowed client is counted. */
export interface Seat {
  readonly identity: string
  readonly place: Place<Stranger>
  /** Since when, on `performance.now()`'s clock. */
  readonly since: number
}

/** A connection, whose client is a stranger until it has shown a certificate that a pool allows. */
export class Stranger implements Arrival, Timed {
  readonly socket: Socket
  readonly deadline: number
  address: string
  source: Source
  shedReason: ShedReason | undefined
  /** Of an allowed client, which is a stranger no more. */
  seat: Seat | undefined
  /** When its handshake began, on `performance.now()`'s clock. */
  begun = 0
  /** Among the handshakes that are under way. */
  underWay: Place<Stranger> | undefined
  /** Among those who are done with their handshake. */
  heard: Place<Stranger> | undefined
  /** Among those who are watched. */
  watched: Place<Stranger> | undefined
  /** What its network was charged for it, in milliseconds of the event loop. */
  charged = 0
  /** Of its bytes, those that were there at the last look. */
  seenBytes = 0
  /** Its bytes at the time when it became a stranger. */
  #firstByte = 0
  #headerBytes = 0
  #stage: Stage | undefined = 'silent'
  #place: Place<Stranger>
  readonly #deadlines: Deadlines
  readonly #timed: Place<Timed>
  readonly #onTimeUp: (stranger: Stranger) => void

  /** @param came when, on `performance.now()`'s clock */
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
    this.#place = source.in.silent.join(this)
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

  /** What it may send before it is cut. Who waits is not read from. */
  get maxBytes(): number {
    return this.#stage === 'silent' || this.#stage === 'waiting' ? Infinity : this.#firstByte + MAX_STRANGER_BYTES
  }

  /** None when it is an allowed client, or gone. */
  get stage(): Stage | undefined {
    return this.#stage
  }

  enter(stage: Stage): void {
    this.leave()
    this.#stage = stage
    this.#place = this.source.in[stage].join(this)
  }

  /** A balancer has said whose connection it is, by a header of so many bytes. */
  introduce(address: string, source: Source, headerBytes: number): void {
    this.leave()
    this.address = address
    this.source = source
    this.#headerBytes = headerBytes
    this.seenBytes = 0
    this.enter('silent')
  }

  /** An allowed client is a stranger again. */
  fallBack(source: Source): void {
    this.source = source
    this.#firstByte = this.bytesRead
  }

  leave(): void {
    if (this.#stage === undefined) return
    this.source.in[this.#stage].leave(this.#place)
    this.#stage = undefined
  }

  timeUp(): void {
    this.#onTimeUp(this)
  }

  /** There is no more that it has to do in time. */
  endTime(): void {
    this.#deadlines.remove(this.#timed)
  }
}
