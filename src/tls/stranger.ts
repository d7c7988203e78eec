import type { Socket } from 'node:net'
import type { Deadlines, Timed } from '../ekm/deadlines.ts'
import { Line, type Place } from '../ekm/line.ts'

/**
 * Why a connection was closed unheard: it said nothing, its handshake took too long, or there were too many, of strangers
 * or in all.
 */
export type ShedReason = 'silent' | 'handshake_timeout' | 'too_many_unverified' | 'too_many'

/** A connection that the gate has admitted. */
export interface Arrival {
  readonly socket: Socket
  /** The client's, as long as it was known; a socket that is closed does not tell it any more. */
  readonly address: string | undefined
  /** Whether the client has not sent a byte. */
  readonly isSilent: boolean
  /** Why the gate closed the connection, if it did. */
  readonly shedReason: ShedReason | undefined
}

/** In the order in which strangers are given up: who had their say, who say nothing, who wait, whose handshake goes on. */
export const stages = ['unverified', 'silent', 'waiting', 'handshake'] as const
export type Stage = (typeof stages)[number]

/** The strangers of one network. They are in lines, since a handshake must leave no garbage that grows old. */
export class Source {
  readonly network: string
  readonly in: Readonly<Record<Stage, Line<Stranger>>> = {
    unverified: new Line(),
    silent: new Line(),
    waiting: new Line(),
    handshake: new Line(),
  }
  /** Among those that wait for a handshake. */
  place: Place<Source> | undefined
  /** Its handshakes among those that the gate has under way. */
  underWay = 0

  constructor(network: string) {
    this.network = network
  }

  get size(): number {
    const { unverified, silent, waiting, handshake } = this.in
    return unverified.size + silent.size + waiting.size + handshake.size
  }
}

/** A connection whose client has not shown a good certificate. */
export class Stranger implements Arrival, Timed {
  readonly socket: Socket
  readonly address: string | undefined
  readonly source: Source
  readonly deadline: number
  shedReason: ShedReason | undefined
  /** That it is a stranger no more, but a client. */
  verified = false
  /** When its handshake began, on `performance.now()`'s clock. */
  begun = 0
  /** Among the handshakes that are under way. */
  underWay: Place<Stranger> | undefined
  #stage: Stage | undefined = 'silent'
  #place: Place<Stranger>
  readonly #deadlines: Deadlines
  readonly #timed: Place<Timed>
  readonly #onTimeUp: (stranger: Stranger) => void

  /** @param came when, on `performance.now()`'s clock */
  constructor(
    socket: Socket,
    address: string | undefined,
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

  get isSilent(): boolean {
    return this.socket.bytesRead === 0
  }

  /** None when it is a stranger no more. */
  get stage(): Stage | undefined {
    return this.#stage
  }

  enter(stage: Stage): void {
    this.leave()
    this.#stage = stage
    this.#place = this.source.in[stage].join(this)
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
