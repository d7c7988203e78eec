import { Queue } from '../base/queue.ts'
import { FIRST_WINDOW, type Source, type Stranger } from './stranger.ts'

/**
 * The bounds of how many handshakes may be under way while others wait. Their clients may all send at once, and that is
 * then handled in one turn of the event loop. So the bound halves after a long turn, and rises slowly.
 */
const UNDER_WAY = { least: 2, most: 128, step: 0.25 } as const
const LONG_TURN_MS = 8
/**
 * Extra handshakes reserved for networks with none under way, so that a flood from one network does not delay another.
 */
const NEWCOMERS = 4
/**
 * Milliseconds. A client that has not answered by then is far away or will never answer, so others need not wait for
 * it.
 */
const ANSWER_MS = 200
/** Milliseconds for which a handshake keeps its place in the window of its network while others of the network wait. */
const PLACE_MS = 1000

/** The questions and events of the handshake queue. */
export interface HandshakeEvents {
  /** Begins TLS. */
  begin(stranger: Stranger): void
  /** Whether a network must wait, whoever else waits. */
  mustWait(source: Source, now: number): boolean
  /** Whether a network may have only one handshake under way, beside those that its allowed clients have earned. */
  isOnProbation(source: Source, now: number): boolean
  /** The window of the network is full, and others of the network have waited long enough for this client's answer. */
  giveUp(stranger: Stranger): void
  /** A turn of the event loop begins, in which {@link HandshakeEvents.mustWait} will be asked. */
  turn(): void
}

/** The queue of handshakes. One begins in each turn of the event loop, round-robin by network. */
export class Handshakes {
  readonly #events: HandshakeEvents
  /** Networks with waiting strangers. The first is next. */
  readonly #queue = new Queue<Source>()
  /** The handshakes that began last, oldest first. */
  readonly #underWay = new Queue<Stranger>()
  #mayBeUnderWay: number = UNDER_WAY.most
  #turn: NodeJS.Immediate | undefined
  #patience: NodeJS.Timeout | undefined

  constructor(events: HandshakeEvents) {
    this.#events = events
  }

  /** Whether recent turns were short and `source` need not wait. */
  isOpenFor(source: Source, now: number): boolean {
    return this.#mayBeUnderWay === UNDER_WAY.most && this.#mayBegin(source, now)
  }

  /** Queues a stranger whose hello is there. */
  enqueue(stranger: Stranger): void {
    const { source } = stranger
    stranger.enter('waiting')
    source.place ??= this.#queue.join(source)
    this.#beginLater()
  }

  start(stranger: Stranger, now: number): void {
    const { source } = stranger
    for (const older of this.#tooMany(source, now)) this.#events.giveUp(older)
    stranger.enter('handshake')
    stranger.begun = now
    stranger.underWay = this.#underWay.join(stranger)
    source.underWay += 1
    this.#events.begin(stranger)
  }

  /** Its handshake has ended, or will not begin. */
  ended(stranger: Stranger): void {
    if (this.#release(stranger)) this.#beginLater()
  }

  #beginLater(asked = performance.now()): void {
    if (this.#turn !== undefined || this.#queue.size === 0) return
    if (this.#nextSource(asked) === undefined) {
      this.#patience ??= setTimeout(() => {
        this.#patience = undefined
        this.#beginLater()
      }, ANSWER_MS / 10)
      return
    }
    this.#turn = setImmediate(() => {
      this.#turn = undefined
      this.#events.turn()
      const now = performance.now()
      this.#adapt(now - asked)
      this.#beginNext(now)
      this.#beginLater(now)
    })
  }

  /** @param turnMs duration of the event loop's last turn in milliseconds */
  #adapt(turnMs: number): void {
    const { least, most, step } = UNDER_WAY
    const bound = turnMs > LONG_TURN_MS ? this.#mayBeUnderWay / 2 : this.#mayBeUnderWay + step
    this.#mayBeUnderWay = Math.min(most, Math.max(least, bound))
  }

  #beginNext(now: number): void {
    for (let source = this.#nextSource(now); source !== undefined; source = this.#nextSource(now)) {
      if (source.place !== undefined) this.#queue.leave(source.place)
      source.place = undefined
      const stranger = source.in.waiting.first?.value
      if (stranger === undefined) continue
      if (source.in.waiting.size > 1) source.place = this.#queue.join(source)
      // The end of the connection has not been reported yet.
      if (stranger.socket.destroyed) stranger.enter('handshake')
      else return this.start(stranger, now)
    }
  }

  /** The network whose handshake may begin now. Undefined if none may. */
  #nextSource(now: number): Source | undefined {
    for (let place = this.#underWay.first; place !== undefined; place = this.#underWay.first) {
      if (now - place.value.begun < ANSWER_MS) break
      this.#release(place.value)
    }
    const tooMany = this.#underWay.size - this.#mayBeUnderWay
    if (tooMany >= NEWCOMERS) return undefined
    return this.#queue.find(
      (source) => (tooMany < 0 || source.underWay === 0) && (isIdle(source) || this.#mayBegin(source, now)),
    )
  }

  #mayBegin(source: Source, now: number): boolean {
    if (this.#events.mustWait(source, now)) return false
    return this.#tooMany(source, now).every((stranger) => hasHadItsTime(stranger, now))
  }

  /** The handshakes of a network that must end before another one begins, the oldest first. */
  #tooMany(source: Source, now: number): readonly Stranger[] {
    const { handshake } = source.in
    // Most networks have none.
    if (handshake.size === 0) return []
    // A network keeps the places that its allowed clients have earned.
    const window = this.#events.isOnProbation(source, now) ? source.window - FIRST_WINDOW + 1 : source.window
    return handshake.size < window ? [] : handshake.values().slice(0, handshake.size - window + 1)
  }

  #release(stranger: Stranger): boolean {
    const { underWay, source } = stranger
    if (underWay === undefined) return false
    stranger.underWay = undefined
    this.#underWay.leave(underWay)
    source.underWay -= 1
    return true
  }
}

/** A stranger that has not even sent a hello gets less time. */
function hasHadItsTime(stranger: Stranger, now: number): boolean {
  return now - stranger.begun > (stranger.isSilent ? ANSWER_MS : PLACE_MS)
}

/** True if no stranger of it waits any more, so that it only has to leave the queue. */
const isIdle = (source: Source): boolean => source.in.waiting.size === 0
