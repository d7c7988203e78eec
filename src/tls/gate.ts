import { isIPv6, type Socket } from 'node:net'

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
 * Why a connection was closed unheard: it said nothing, its handshake took too long, or there were too many, of strangers
 * or in all.
 */
export type ShedReason = 'silent' | 'handshake_timeout' | 'too_many_unverified' | 'too_many'

/** In the order in which strangers are given up: who had their say, who say nothing, who wait, whose handshake goes on. */
const stages = ['unverified', 'silent', 'waiting', 'handshake'] as const

interface Stranger {
  readonly socket: Socket
  readonly address: string
  readonly source: Source
  readonly timer: NodeJS.Timeout
  stage: (typeof stages)[number]
  /** When its handshake began, on `performance.now()`'s clock. */
  begun: number
}

/** The strangers of one address. */
class Source {
  readonly strangers = new Set<Stranger>()
  /** Its handshakes among those that the gate has under way. */
  underWay = 0

  /** The oldest in a stage. */
  first(stage: Stranger['stage']): Stranger | undefined {
    for (const stranger of this.strangers) if (stranger.stage === stage) return stranger
    return undefined
  }
}

/**
 * Stands between the port and TLS. A handshake costs about a millisecond of the event loop, and everybody can ask for one:
 * it is begun only when its ClientHello is there, one in each turn of the event loop, in turn for each address that waits,
 * and not while too many are under way.
 * Strangers are bounded in number and time; beyond, the address that has most of them loses one. So a flood costs clients
 * with a connection a handshake's time for each turn, and not more however large it is.
 */
export class Gate {
  limits: GateLimits
  readonly #begin: (socket: Socket) => void
  readonly #onShed: (reason: ShedReason) => void
  readonly #sources = new Map<string, Source>()
  readonly #strangers = new Map<Socket, Stranger>()
  /** The addresses that wait for a handshake, the next one first. */
  readonly #queue = new Set<Source>()
  readonly #shed = new WeakMap<Socket, ShedReason>()
  #verified = 0
  /** The handshakes that began last, the oldest first. */
  readonly #underWay = new Set<Stranger>()
  #mayBeUnderWay: number = UNDER_WAY.most
  #turn: NodeJS.Immediate | undefined
  #patience: NodeJS.Timeout | undefined

  /**
   * @param begin begins TLS on a connection whose first bytes can be read from it
   * @param onShed is told of each connection that is closed here
   */
  constructor(limits: GateLimits, begin: (socket: Socket) => void, onShed: (reason: ShedReason) => void) {
    this.limits = limits
    this.#begin = begin
    this.#onShed = onShed
  }

  /** Open connections: of clients with a good certificate, and others. */
  get connections(): { readonly verified: number; readonly unverified: number } {
    return { verified: this.#verified, unverified: this.#strangers.size }
  }

  /** Takes a new connection. */
  admit(socket: Socket): void {
    socket.on('error', () => undefined)
    const { maxConnections, maxUnverifiedConnections, handshakeMs } = this.limits
    const tooMany = this.#verified + this.#strangers.size >= maxConnections
    if (tooMany || this.#strangers.size >= maxUnverifiedConnections) {
      const reason = tooMany ? 'too_many' : 'too_many_unverified'
      const stranger = this.#greediest()
      if (stranger === undefined) return this.#close(socket, reason)
      this.#close(stranger.socket, reason)
    }
    const address = networkOf(socket.remoteAddress ?? '')
    const source = this.#sources.get(address) ?? new Source()
    this.#sources.set(address, source)
    const timer = setTimeout(() => this.#timeUp(stranger), handshakeMs)
    const stranger: Stranger = { socket, address, source, timer, stage: 'silent', begun: 0 }
    source.strangers.add(stranger)
    this.#strangers.set(socket, stranger)
    socket.once('close', () => this.#forget(stranger))
    this.#awaitHello(stranger)
  }

  /** Says how a connection's handshake ended: a verified client is a stranger no more. */
  handshakeDone(socket: Socket, verified: boolean): void {
    const stranger = this.#strangers.get(socket)
    if (stranger === undefined) return
    clearTimeout(stranger.timer)
    stranger.stage = 'unverified'
    this.#noLongerUnderWay(stranger)
    if (!verified) return
    this.#forget(stranger)
    this.#verified += 1
    socket.once('close', () => (this.#verified -= 1))
  }

  /** Why the gate closed a connection, if it did. */
  shedReasonOf(socket: Socket): ShedReason | undefined {
    return this.#shed.get(socket)
  }

  /** Closes the connections of strangers. */
  close(): void {
    for (const socket of this.#strangers.keys()) socket.destroy()
  }

  #awaitHello(stranger: Stranger): void {
    const { socket, source } = stranger
    let head: Buffer | undefined
    const onReadable = () => {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      head = head === undefined ? chunk : Buffer.concat([head, chunk])
      if (!isWholeRecord(head)) return
      socket.off('readable', onReadable)
      socket.unshift(head)
      stranger.stage = 'waiting'
      this.#queue.add(source)
      this.#beginLater()
    }
    socket.on('readable', onReadable)
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
      this.#queue.delete(source)
      const stranger = source.first('waiting')
      if (stranger === undefined) continue
      stranger.stage = 'handshake'
      stranger.begun = now
      if (source.first('waiting') !== undefined) this.#queue.add(source)
      if (stranger.socket.destroyed) continue
      this.#underWay.add(stranger)
      source.underWay += 1
      return this.#begin(stranger.socket)
    }
  }

  /** Whose handshake may begin now, if anybody's. */
  #nextSource(now: number): Source | undefined {
    for (const stranger of this.#underWay) {
      if (now - stranger.begun < ANSWER_MS) break
      this.#release(stranger)
    }
    const tooMany = this.#underWay.size - this.#mayBeUnderWay
    if (tooMany >= NEWCOMERS) return undefined
    for (const source of this.#queue) if (tooMany < 0 || source.underWay === 0) return source
    return undefined
  }

  #noLongerUnderWay(stranger: Stranger): void {
    if (this.#release(stranger)) this.#beginLater()
  }

  #release(stranger: Stranger): boolean {
    const wasUnderWay = this.#underWay.delete(stranger)
    if (wasUnderWay) stranger.source.underWay -= 1
    return wasUnderWay
  }

  /** The stranger that can best be given up: of the address that has most, the oldest of the first stage there is. */
  #greediest(): Stranger | undefined {
    let greediest: Source | undefined
    for (const source of this.#sources.values()) {
      if (greediest === undefined || source.strangers.size > greediest.strangers.size) greediest = source
    }
    for (const stage of stages) {
      const stranger = greediest?.first(stage)
      if (stranger !== undefined) return stranger
    }
    return undefined
  }

  #timeUp(stranger: Stranger): void {
    this.#close(stranger.socket, stranger.stage === 'silent' ? 'silent' : 'handshake_timeout')
  }

  #close(socket: Socket, reason: ShedReason): void {
    this.#shed.set(socket, reason)
    this.#onShed(reason)
    const stranger = this.#strangers.get(socket)
    if (stranger !== undefined) this.#forget(stranger)
    socket.destroy()
  }

  #forget(stranger: Stranger): void {
    const { socket, source, address, timer } = stranger
    clearTimeout(timer)
    this.#strangers.delete(socket)
    source.strangers.delete(stranger)
    this.#noLongerUnderWay(stranger)
    if (source.strangers.size === 0 && this.#sources.get(address) === source) this.#sources.delete(address)
  }
}

/** Whether the bytes hold a whole handshake record, or something that will never be one. */
function isWholeRecord(bytes: Buffer): boolean {
  if (bytes[0] !== HANDSHAKE_RECORD) return true
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const length = bytes.readUInt16BE(RECORD_HEADER_BYTES - 2)
  return length > MAX_RECORD_BYTES || bytes.length >= RECORD_HEADER_BYTES + length
}

/** What one sender can be told by: an IPv4 address, or the /64 network of an IPv6 address, of which one host has all. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address
  const [left = '', right = ''] = address.split('::')
  const [start, end] = [left, right].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = address.includes('::') ? 8 - (start?.length ?? 0) - (end?.length ?? 0) : 0
  return [...(start ?? []), ...Array<string>(zeros).fill('0'), ...(end ?? [])].slice(0, 4).join(':')
}
