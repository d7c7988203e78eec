import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import { Server as NetServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { systemCode } from '../../adapters/contract/index.ts'
import { listen } from '../listen.ts'
import type { Credentials } from '../config/credentials.ts'
import { writeHandshakeFailure } from '../telemetry/audit.ts'
import type { Log } from '../telemetry/log.ts'
import { anonymousClient, CHAIN_FORGOTTEN, CHAIN_HIDDEN, identifyClient, type Client } from './client.ts'
import type { Trust } from './trust.ts'

/** The suites of the EKM Proxy API, and no other. */
const SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'
const HANDSHAKE_MS = 10_000
const HEADER_MS = 10_000
/** How long a session may be resumed after its full handshake. */
const SESSION_SECONDS = 3600
const TICKET_KEY_BYTES = 48

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly credentials: Credentials
  readonly clientAuth: 'required' | 'disabled'
  readonly trust: Trust
  readonly idleConnectionMs: number
  readonly log: Log
  /** Shared by listeners that are to resume each other's sessions; 48 bytes, random if absent. */
  readonly ticketKeys?: Buffer
}

/** The TLS side of the gateway: an HTTPS server without a request handler, which knows the client of each connection. */
export class Listener {
  readonly server: Server
  readonly #options: ListenerOptions
  readonly #clients = new WeakMap<object, Client>()
  #warned = false

  constructor(options: ListenerOptions) {
    this.#options = options
    const { credentials, clientAuth, trust, idleConnectionMs, ticketKeys = randomBytes(TICKET_KEY_BYTES) } = options
    this.server = createServer({
      ...credentials.secureContextOptions(),
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: SUITES,
      ALPNProtocols: ['http/1.1'],
      ca: [...trust.ca],
      // A client without a good certificate is let in, to be told so by a ProxyError.
      requestCert: clientAuth === 'required',
      rejectUnauthorized: false,
      sessionIdContext: trust.sessionContext,
      sessionTimeout: SESSION_SECONDS,
      ticketKeys,
      handshakeTimeout: HANDSHAKE_MS,
      headersTimeout: HEADER_MS,
      requestTimeout: HEADER_MS,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: idleConnectionMs,
      noDelay: true,
      // Node.js would answer a missing Host header with an empty reply; the application answers it with a ProxyError.
      requireHostHeader: false,
    })
    this.server.prependListener('secureConnection', (socket) => this.#identify(socket))
    this.server.on('tlsClientError', (error, socket) => {
      const address = socket.remoteAddress
      writeHandshakeFailure(options.log, { reason: systemCode(error), ...(address && { remote_address: address }) })
    })
  }

  /** The client of a connection whose handshake is done. */
  clientOf(socket: object): Client {
    return this.#clients.get(socket) ?? { audit: {}, refusal: 'NO_HANDSHAKE' }
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
    this.server.closeAllConnections()
  }

  #identify(socket: TLSSocket): void {
    const { clientAuth, trust } = this.#options
    const client = clientAuth === 'required' ? identifyClient(socket, trust) : anonymousClient(socket)
    // Other tickets of that time would fail the same way: with new keys, the next connection is a full handshake.
    if (client.refusal === CHAIN_FORGOTTEN) this.server.setTicketKeys(randomBytes(TICKET_KEY_BYTES))
    if (client.refusal === CHAIN_HIDDEN) this.#warnOfHiddenChain()
    this.#clients.set(socket, client)
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
