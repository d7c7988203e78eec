import { randomBytes, type X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import { systemCode } from '../../adapters/contract/index.ts'
import { Line } from '../ekm/line.ts'
import { listen } from '../listen.ts'
import type { Credentials } from '../config/credentials.ts'
import { TICKET_KEY_BYTES } from '../config/ticket-keys.ts'
import { writeHandshakeFailure } from '../telemetry/audit.ts'
import type { Log } from '../telemetry/log.ts'
import {
  anonymousClient,
  CHAIN_FORGOTTEN,
  CHAIN_HIDDEN,
  identifyAgain,
  identifyClient,
  SeenChains,
  type Client,
  type Identified,
} from './client.ts'
import { Gate, type ConnectionCounts, type GateLimits, type Refusal } from './gate.ts'
import type { Arrival, ShedReason, Standing } from './stranger.ts'
import type { Trust } from './trust.ts'

/** The suites of the EKM Proxy API, and no other. */
const SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'
/** How long a session may be resumed after its full handshake. */
const SESSION_SECONDS = 3600
const SHED_REPORT_MS = 10_000
/** OpenSSL's word for what is not TLS, a PROXY header among others. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

/** What can change while the listener listens. */
export interface ListenerSettings extends GateLimits {
  readonly credentials: Credentials
  readonly trust: Trust
  readonly idleConnectionMs: number
  /** Milliseconds from a request's first byte, or the handshake, to its complete header. */
  readonly headerMs: number
  /** Shared by listeners that are to resume each other's sessions: 48 bytes. */
  readonly ticketKeys: Buffer
}

/** Is told what happens to connections, for metrics. */
export interface ListenerEvents {
  handshake(kind: 'full' | 'resumed'): void
  /** @param reason as in {@link HandshakeFailure} */
  handshakeFailed(reason: string): void
  shed(reason: ShedReason): void
}

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly clientAuth: 'required' | 'disabled'
  readonly log: Log
  readonly events?: ListenerEvents | undefined
}

interface Handshake {
  readonly arrival: Arrival
  /** Under which OpenSSL looks at the client's certificate. */
  readonly trust: Trust
}

// What is known of a socket is kept on it: what a WeakMap leads to is alive to V8's collection of what is young, whether its
// key is or not.
const HANDSHAKE = Symbol('handshake')
const IDENTIFIED = Symbol('identified')
const SECURED = Symbol('secured')

/** A connection below TLS. */
interface Beginning extends Socket {
  /** Until its handshake has ended. */
  [HANDSHAKE]?: Handshake | undefined
  /** The connection above it, from then on. */
  [SECURED]?: TLSSocket
}

/** A connection whose handshake is done. */
interface Connection extends Socket {
  [IDENTIFIED]: Identified
}

/** The TLS side of the gateway: an HTTPS server without a request handler, which knows the client of each connection. */
export class Listener {
  readonly server: Server
  readonly #options: ListenerOptions
  #settings: ListenerSettings
  readonly #gate: Gate
  readonly #seen = new SeenChains()
  readonly #open = new Line<Connection>()
  #restoreKeys: NodeJS.Timeout | undefined
  #shed: { connections: number; readonly report: NodeJS.Timeout } | undefined
  #warned = false

  constructor(options: ListenerOptions, settings: ListenerSettings) {
    this.#options = options
    this.#settings = settings
    this.server = createServer({
      ...contextOptions(settings),
      ALPNProtocols: ['http/1.1'],
      // A client without a good certificate is let in, to be told so by a ProxyError.
      requestCert: options.clientAuth === 'required',
      rejectUnauthorized: false,
      // Negative: none. The gate has one timer for all handshakes; Node.js would set one for each.
      handshakeTimeout: -1,
      headersTimeout: settings.headerMs,
      requestTimeout: settings.headerMs,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: settings.idleConnectionMs,
      noDelay: true,
      // Node.js would answer a missing Host header with an empty reply; the application answers it with a ProxyError.
      requireHostHeader: false,
    })
    const begin = takeOver(this.server, (socket) => this.#gate.admit(socket))
    this.#gate = new Gate(settings, {
      begin: (arrival) => {
        const socket: Beginning = arrival.socket
        socket[HANDSHAKE] = { arrival, trust: this.#settings.trust }
        begin(socket)
      },
      onShed: (reason) => this.#noteShed(reason),
      onRefused: (arrival, refusal) => this.#noteRefusal(arrival, refusal),
      idleSince: ({ socket }) => {
        const secured = (socket as Beginning)[SECURED]
        return secured && this.idleSince(secured)
      },
    })
    this.server.on('request', () => this.#gate.noteRequest())
    this.server.prependListener('secureConnection', (socket) => this.#identify(socket))
    this.server.on('tlsClientError', (error, socket) => this.#noteFailure(error, socket))
    this.#trust(settings.trust)
  }

  /** The client of a connection whose handshake is done. */
  clientOf(socket: object): Client {
    return (socket as Partial<Connection>)[IDENTIFIED]?.client ?? { audit: {}, refusal: 'NO_HANDSHAKE' }
  }

  get connections(): ConnectionCounts {
    return this.#gate.connections
  }

  /** Since when a connection has served no request, as in {@link GateOptions}; whoever answers requests knows. */
  idleSince: (socket: TLSSocket) => number | undefined = () => undefined

  /**
   * Takes other settings, from the next handshake on; no connection is cut. Returns the connections whose client is not
   * one any more until it has verified its certificate anew: they are of no use.
   */
  renew(settings: ListenerSettings): readonly Socket[] {
    const before = this.#settings
    // If this throws, nothing has changed yet.
    this.server.setSecureContext(contextOptions(settings))
    this.#settings = settings
    this.#gate.renew(settings)
    this.server.keepAliveTimeout = settings.idleConnectionMs
    this.server.headersTimeout = settings.headerMs
    this.server.requestTimeout = settings.headerMs
    this.#stopRestoring()
    if (settings.trust === before.trust) return []
    before.trust.onLearned = undefined
    this.#trust(settings.trust)
    const unproven: Socket[] = []
    // Most connections are of a few clients.
    const traced = new Map<string, ReadonlySet<string>>()
    for (const socket of this.#open.values()) {
      const identified = socket[IDENTIFIED]
      const again = identifyAgain(identified, settings.trust, traced)
      socket[IDENTIFIED] = again
      if (identified.client.verified && !again.client.verified) unproven.push(socket)
    }
    return unproven
  }

  /** Is told of each issuing CA that a client taught, under whatever trust. */
  onLearned: ((issuer: X509Certificate) => void) | undefined

  /** Takes over an issuing CA that another listener learned. */
  learn(issuer: X509Certificate): void {
    if (this.#settings.trust.learn(issuer)) this.#restoreTicketKeys()
  }

  /** Rejects with an {@link OperatorError}. Resolves with the port, which the system chooses for port 0. */
  listen(): Promise<number> {
    const { host, port } = this.#options
    return listen(this.server, host, port)
  }

  /** No new connections from now on. Live ones stay, so that a request already on its way gets an answer. */
  stopAccepting(): void {
    // Not the HTTPS server's own close(), which would cut idle connections.
    NetServer.prototype.close.call(this.server)
  }

  closeConnections(): void {
    this.#stopRestoring()
    this.server.closeAllConnections()
    this.#gate.close()
  }

  #identify(socket: TLSSocket): void {
    const { clientAuth, events } = this.#options
    const { trust } = this.#settings
    const handshake = this.#takeHandshake(socket)
    // Nobody comes past the gate.
    if (handshake === undefined) return void socket.destroy()
    const { arrival, trust: verifiedUnder } = handshake
    let identified: Identified =
      clientAuth === 'required'
        ? identifyClient(socket, arrival.address, verifiedUnder, this.#seen)
        : { client: anonymousClient(socket, arrival.address) }
    if (verifiedUnder !== trust) identified = identifyAgain(identified, trust)
    const { client } = identified
    if (client.refusal === CHAIN_FORGOTTEN) this.#replaceTicketKeys()
    if (client.refusal === CHAIN_HIDDEN) this.#warnOfHiddenChain()
    const place = this.#open.join(Object.assign(socket, { [IDENTIFIED]: identified }))
    socket.on('close', () => this.#open.leave(place))
    ;(arrival.socket as Beginning)[SECURED] = socket
    this.#gate.handshakeDone(arrival, this.#standingOf(client))
    events?.handshake(client.audit.tls_resumed ? 'resumed' : 'full')
  }

  /** How the gate counts a client's connections. */
  #standingOf({ audit, verified }: Client): Standing {
    if (this.#options.clientAuth === 'disabled') return { kind: 'allowed', identity: audit.remote_address ?? '' }
    if (verified === undefined) return { kind: 'stranger' }
    return { kind: 'allowed', identity: audit.client_cert_sha256 ?? '' }
  }

  #noteFailure(error: Error, socket: TLSSocket): void {
    const handshake = this.#takeHandshake(socket)
    if (handshake === undefined) return
    const { isSilent, shedReason, address } = handshake.arrival
    // There may be any number of these: who says nothing looks whether somebody listens, the others are told together.
    if (isSilent || (shedReason !== undefined && shedReason !== 'handshake_timeout')) return
    const reason = shedReason === undefined ? systemCode(error) : 'ERR_TLS_HANDSHAKE_TIMEOUT'
    if (reason === NO_TLS) this.#gate.suspectProxyHeaders()
    writeHandshakeFailure(this.#options.log, { reason, remote_address: address })
    this.#options.events?.handshakeFailed(reason)
  }

  #noteRefusal({ address }: Arrival, { reason, detail }: Refusal): void {
    writeHandshakeFailure(this.#options.log, { reason, detail, remote_address: address })
    this.#options.events?.handshakeFailed(reason)
  }

  /** Of a handshake that has just ended, one way or the other; once. */
  #takeHandshake(socket: TLSSocket): Handshake | undefined {
    const raw: Beginning = connectionBelow(socket)
    const handshake = raw[HANDSHAKE]
    raw[HANDSHAKE] = undefined
    return handshake
  }

  #trust(trust: Trust): void {
    trust.onLearned = (issuer) => {
      this.#restoreTicketKeys()
      this.onLearned?.(issuer)
    }
  }

  /** Other tickets of that time would fail the same way: with new keys, the next connection is a full handshake. */
  #replaceTicketKeys(): void {
    this.server.setTicketKeys(randomBytes(TICKET_KEY_BYTES))
    this.#stopRestoring()
    // At the latest when every ticket of before has ended, since other listeners go on with the keys that are shared.
    this.#restoreKeys = setTimeout(() => this.#restoreTicketKeys(), SESSION_SECONDS * 1000)
    this.#restoreKeys.unref()
  }

  #restoreTicketKeys(): void {
    if (this.#restoreKeys === undefined) return
    this.#stopRestoring()
    this.server.setTicketKeys(this.#settings.ticketKeys)
  }

  #stopRestoring(): void {
    clearTimeout(this.#restoreKeys)
    this.#restoreKeys = undefined
  }

  /** In a flood, a line for each connection would be a flood of its own. */
  #noteShed(reason: ShedReason): void {
    this.#options.events?.shed(reason)
    if (reason === 'silent') return
    this.#shed ??= {
      connections: 0,
      report: setTimeout(() => {
        this.#options.log.warn('connections_shed', { connections: this.#shed?.connections })
        this.#shed = undefined
      }, SHED_REPORT_MS).unref(),
    }
    this.#shed.connections += 1
  }

  #warnOfHiddenChain(): void {
    if (this.#warned) return
    this.#warned = true
    this.#options.log.warn('client_chain_hidden', {
      node: process.version,
      message:
        'pools trust different roots, and this version of Node.js hides the CA certificates that clients send ' +
        '(nodejs/node#65579): add the issuing CA to caCertificates, or use another version',
    })
  }
}

const contextOptions = ({ credentials, trust, ticketKeys }: ListenerSettings): SecureContextOptions => ({
  ...credentials.secureContextOptions(),
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: SUITES,
  ca: [...trust.ca],
  sessionIdContext: trust.sessionContext,
  sessionTimeout: SESSION_SECONDS,
  ticketKeys,
})

/** Puts `admit` in the place of what begins TLS on a new connection, and returns that. */
function takeOver(server: Server, admit: (socket: Socket) => void): (socket: Socket) => void {
  const beginners = server.listeners('connection') as ((this: Server, socket: Socket) => void)[]
  server.removeAllListeners('connection')
  server.on('connection', admit)
  return (socket) => {
    for (const begin of beginners) begin.call(server, socket)
  }
}

/** The TCP connection that a TLS socket was made on, which Node.js does not show by a name of its own. */
const connectionBelow = (socket: TLSSocket): Socket => (socket as unknown as { readonly _parent: Socket })._parent
