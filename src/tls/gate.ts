import { isIPv6, type Socket } from 'node:net'
import { Deadlines } from '../ekm/deadlines.ts'
import { Line } from '../ekm/line.ts'
import { Source, stages, Stranger, type Arrival, type ShedReason } from './stranger.ts'

/** A record's header: content type, version, length (RFC 8446 section 5.1). */
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_RECORD = 22
/** A longer record is none; OpenSSL says so. */
const MAX_RECORD_BYTES = 16_384

/**
 * How many handshakes may be under way while others wait: what their clients send comes when it comes, and if it comes all
 * at once it is dealt with in one turn of the event loop. The bound falls by half when a turn was long, and rises slowly.
 */
const UNDER_WAY = { least: 2, most: 128, step: 0.25 } as const
const LONG_TURN_MS = 8
/** So many more may be under way of addresses that have none: a flood from one keeps nobody else waiting for its end. */
const NEWCOMERS = 4
/** So few strangers need no gate, as long as turns are short: not one handshake in a turn, but not more than these. */
const FEW = 8
/** A client that has not answered by then is far away, or never will: others need not wait for it. */
const ANSWER_MS = 200

export interface GateLimits {
  /** Connections at a time. */
  readonly maxConnections: number
  /** Of these, strangers at a time: connections without a good client certificate, or without one yet. */
  readonly maxUnverifiedConnections: number
  /** Milliseconds from a connection to the end of its handshake. */
  readonly handshakeMs: number
}

/**
 * Stands between the port and TLS. A handshake costs about a millisecond of the event loop, and everybody can ask for one:
 * where more than a few do, it is begun only when its ClientHello is there, one in each turn of the event loop, in turn for
 * each address that waits, and not while too many are under way.
 * Strangers are bounded in number and time; beyond, the address that has most of them loses one. So a flood costs clients
 * with a connection a handshake's time for each turn, and not more however large it is.
 */
export class Gate {
  #limits: GateLimits
  #deadlines: Deadlines
  readonly #begin: (arrival: Arrival) => void
  readonly #onShed: (reason: ShedReason) => void
  readonly #sources = new Map<string, Source>()
  /** The networks that wait for a handshake, the next one first. */
  readonly #queue = new Line<Source>()
  #strangers = 0
  #verified = 0
  /** The handshakes that began last, the oldest first. */
  readonly #underWay = new Line<Stranger>()
  #mayBeUnderWay: number = UNDER_WAY.most
  #turn: NodeJS.Immediate | undefined
  #patience: NodeJS.Timeout | undefined

  /**
   * @param begin begins TLS on a connection whose first bytes can be read from it
   * @param onShed is told of each connection that is closed here
   */
  constructor(limits: GateLimits, begin: (arrival: Arrival) => void, onShed: (reason: ShedReason) => void) {
    this.#limits = limits
    this.#deadlines = new Deadlines(limits.handshakeMs)
    this.#begin = begin
    this.#onShed = onShed
  }

  /** Takes other limits; who is there already keeps the time it was given. */
  renew(limits: GateLimits): void {
    if (limits.handshakeMs !== this.#limits.handshakeMs) this.#deadlines = new Deadlines(limits.handshakeMs)
    this.#limits = limits
  }

  /** Open connections: of clients with a good certificate, and others. */
  get connections(): { readonly verified: number; readonly unverified: number } {
    return { verified: this.#verified, unverified: this.#strangers }
  }

  /** Takes a new connection. */
  admit(socket: Socket): void {
    socket.on('error', ignore)
    const { maxConnections, maxUnverifiedConnections } = this.#limits
    const tooMany = this.#verified + this.#strangers >= maxConnections
    if (tooMany || this.#strangers >= maxUnverifiedConnections) {
      const reason = tooMany ? 'too_many' : 'too_many_unverified'
      const greediest = this.#greediest()
      if (greediest === undefined) {
        this.#onShed(reason)
        socket.destroy()
        return
      }
      this.#close(greediest, reason)
    }
    const address = socket.remoteAddress
    const now = performance.now()
    const source = this.#sourceOf(networkOf(address ?? ''))
    const stranger = new Stranger(socket, address, source, now, this.#deadlines, this.#onTimeUp)
    this.#strangers += 1
    socket.on('close', () => {
      if (stranger.verified) this.#verified -= 1
      else this.#forget(stranger)
    })
    if (this.#strangers <= FEW && this.#mayBeUnderWay === UNDER_WAY.most) this.#start(stranger, now)
    else this.#awaitHello(stranger)
  }

  /** Says how a connection's handshake ended: a verified client is a stranger no more. */
  handshakeDone(arrival: Arrival, verified: boolean): void {
    const stranger = arrival as Stranger
    if (stranger.stage === undefined) return
    if (!verified) {
      stranger.endTime()
      stranger.enter('unverified')
      this.#noLongerUnderWay(stranger)
      return
    }
    this.#forget(stranger)
    stranger.verified = true
    this.#verified += 1
  }

  /** Closes the connections of strangers. */
  close(): void {
    for (const source of this.#sources.values()) {
      for (const stage of stages) for (const { socket } of source.in[stage].values()) socket.destroy()
    }
  }

  #sourceOf(network: string): Source {
    let source = this.#sources.get(network)
    if (source === undefined) this.#sources.set(network, (source = new Source(network)))
    return source
  }

  #awaitHello(stranger: Stranger): void {
    const { socket, source } = stranger
    let head: Buffer | undefined
    const onData = (chunk: Buffer) => {
      head = head === undefined ? chunk : Buffer.concat([head, chunk])
      if (!isWholeRecord(head)) return
      socket.off('data', onData)
      socket.pause()
      socket.unshift(head)
      if (stranger.stage === undefined) return
      stranger.enter('waiting')
      source.place ??= this.#queue.join(source)
      this.#beginLater()
    }
    socket.on('data', onData)
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
      const now = performance.now()
      this.#adapt(now - asked)
      this.#beginNext(now)
      this.#beginLater(now)
    })
  }

  /** @param turnMs how long the event loop's last turn took */
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
      // Its end is not told yet.
      if (stranger.socket.destroyed) stranger.enter('handshake')
      else return this.#start(stranger, now)
    }
  }

  #start(stranger: Stranger, now: number): void {
    stranger.enter('handshake')
    stranger.begun = now
    stranger.underWay = this.#underWay.join(stranger)
    stranger.source.underWay += 1
    this.#begin(stranger)
  }

  /** Whose handshake may begin now, if anybody's. */
  #nextSource(now: number): Source | undefined {
    for (let place = this.#underWay.first; place !== undefined; place = this.#underWay.first) {
      if (now - place.value.begun < ANSWER_MS) break
      this.#release(place.value)
    }
    const tooMany = this.#underWay.size - this.#mayBeUnderWay
    if (tooMany >= NEWCOMERS) return undefined
    return this.#queue.find((source) => tooMany < 0 || source.underWay === 0)
  }

  #noLongerUnderWay(stranger: Stranger): void {
    if (this.#release(stranger)) this.#beginLater()
  }

  #release(stranger: Stranger): boolean {
    const { underWay, source } = stranger
    if (underWay === undefined || !this.#underWay.leave(underWay)) return false
    source.underWay -= 1
    return true
  }

  /** The stranger that can best be given up: of the address that has most, the oldest of the first stage there is. */
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
    this.#onShed(reason)
    this.#forget(stranger)
    stranger.socket.destroy()
  }

  #forget(stranger: Stranger): void {
    if (stranger.stage === undefined) return
    const { source } = stranger
    stranger.endTime()
    stranger.leave()
    this.#strangers -= 1
    if (source.size === 0) this.#sources.delete(source.network)
    this.#noLongerUnderWay(stranger)
  }
}

const ignore = () => undefined

/** Whether the bytes hold a whole handshake record, or something that will never be one. */
function isWholeRecord(bytes: Buffer): boolean {
  if (bytes[0] !== HANDSHAKE_RECORD) return true
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const length = bytes.readUInt16BE(RECORD_HEADER_BYTES - 2)
  return length > MAX_RECORD_BYTES || bytes.length >= RECORD_HEADER_BYTES + length
}

/** What one sender can be told by: an IPv4 address, or the /64 network of an IPv6 address, of which one host has all. */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.') || !isIPv6(address)) return address
  const [left = '', right = ''] = address.split('::')
  const [start, end] = [left, right].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = address.includes('::') ? 8 - (start?.length ?? 0) - (end?.length ?? 0) : 0
  return [...(start ?? []), ...Array<string>(zeros).fill('0'), ...(end ?? [])].slice(0, 4).join(':')
}
