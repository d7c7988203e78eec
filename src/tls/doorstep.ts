import { isIPv6, type BlockList } from 'node:net'
import { isWholeRecord, readFirstBytes, type Verdict } from './first-bytes.ts'
import { describeFirstBytes, proxyVersionOf, readProxyHeader } from './proxy-protocol.ts'
import type { Stranger } from './stranger.ts'

/** Milliseconds for which first bytes are examined after a failed handshake. */
const SUSPICION_MS = 60_000

/** Why a connection is refused before TLS begins. */
export interface Refusal {
  readonly reason: 'PROXY_HEADER_MISSING' | 'PROXY_HEADER_MALFORMED' | 'PROXY_HEADER_UNEXPECTED'
  /** What came instead of a PROXY header. */
  readonly detail: string
}

export interface DoorstepEvents {
  /** A balancer's header of this many bytes has named the client's address. */
  introduced(stranger: Stranger, address: string, headerBytes: number): void
  /** Whether its handshake may begin at once, before its hello is there. */
  isOpenFor(stranger: Stranger, now: number): boolean
  /** Its first bytes belong to TLS and have not been consumed. */
  ready(stranger: Stranger, atOnce: boolean): void
  refused(stranger: Stranger, refusal: Refusal): void
}

/** What a connection sends before TLS begins: a balancer's PROXY header, and a ClientHello that must be complete. */
export class Doorstep {
  readonly #events: DoorstepEvents
  #balancers: BlockList | undefined
  #suspiciousUntil = 0

  constructor(events: DoorstepEvents, balancers: BlockList | undefined) {
    this.#events = events
    this.#balancers = balancers
  }

  /** @param balancers networks whose connections begin with a PROXY header; undefined for none */
  renew(balancers: BlockList | undefined): void {
    this.#balancers = balancers
  }

  /**
   * Called when a handshake has failed because the client does not speak TLS. That may be a balancer's PROXY header. To
   * report it, the first bytes of the next connections are examined before TLS reads them.
   */
  suspectProxyHeaders(): void {
    this.#suspiciousUntil = performance.now() + SUSPICION_MS
  }

  receive(stranger: Stranger, now: number): void {
    const { address } = stranger
    if (this.#balancers?.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) this.#awaitProxyHeader(stranger)
    else this.#awaitHello(stranger, now, this.#balancers !== undefined || now < this.#suspiciousUntil)
  }

  #awaitProxyHeader(stranger: Stranger): void {
    readFirstBytes(stranger.socket, (bytes) => {
      const header = readProxyHeader(bytes)
      switch (header.kind) {
        case 'incomplete':
          return undefined
        case 'missing':
          return this.#refusal(stranger, 'PROXY_HEADER_MISSING', describeFirstBytes(bytes))
        case 'malformed':
          return this.#refusal(stranger, 'PROXY_HEADER_MALFORMED', header.problem)
        case 'header': {
          const { length, address = stranger.address } = header
          return { used: length, next: () => this.#introduce(stranger, address, length) }
        }
      }
    })
  }

  #introduce(stranger: Stranger, address: string, headerBytes: number): void {
    if (stranger.stage === undefined) return
    this.#events.introduced(stranger, address, headerBytes)
    this.#awaitHello(stranger, performance.now(), false)
  }

  #awaitHello(stranger: Stranger, now: number, mayBeProxy: boolean): void {
    const isOpen = this.#events.isOpenFor(stranger, now)
    if (isOpen && !mayBeProxy) return this.#events.ready(stranger, true)
    readFirstBytes(stranger.socket, (bytes) => {
      const version = mayBeProxy ? proxyVersionOf(bytes) : undefined
      if (version === 'maybe') return undefined
      if (version !== undefined) return this.#refusal(stranger, 'PROXY_HEADER_UNEXPECTED', describeFirstBytes(bytes))
      return isOpen || isWholeRecord(bytes) ? { used: 0, next: () => this.#ready(stranger, isOpen) } : undefined
    })
  }

  #ready(stranger: Stranger, atOnce: boolean): void {
    if (stranger.stage !== undefined) this.#events.ready(stranger, atOnce)
  }

  #refusal(stranger: Stranger, reason: Refusal['reason'], detail: string): Verdict {
    const next = () => {
      if (stranger.stage !== undefined) this.#events.refused(stranger, { reason, detail })
    }
    return { used: 0, next }
  }
}
