import { randomBytes } from 'node:crypto'
import { createServer as createHttpsServer, type Server } from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls'
import type { Credentials } from '../settings/credentials.ts'
import { TICKET_KEY_BYTES } from '../config/ticket-keys.ts'

/** The suites of the EKM Proxy API, and no other. */
const SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'
/**
 * The groups of the key exchange. OpenSSL's own list has finite fields, too: one of 8192 bits takes 150 ms, for a hello of
 * 1.2 KiB that anybody can send again and again. The first protects data keys from those who record today and have a quantum
 * computer later; OpenSSL knows it since 3.5.
 */
const CLASSIC_GROUPS = 'X25519:P-256:P-384'
const GROUPS = knows(`X25519MLKEM768:${CLASSIC_GROUPS}`) ? `X25519MLKEM768:${CLASSIC_GROUPS}` : CLASSIC_GROUPS

function knows(ecdhCurve: string): boolean {
  try {
    createSecureContext({ ecdhCurve })
    return true
  } catch {
    return false
  }
}

/** How long a session may be resumed after its last handshake. */
const SESSION_SECONDS = 3600

/**
 * A revocation list of nobody's. With a list, OpenSSL asks for one of every CA, and so it authorizes no client: who may come
 * in is not its to say. (It would, too, for every CA inside of a PKCS#12 server identity.) Node.js 24 besides shows what a
 * client sent with its certificate only for clients that OpenSSL did not authorize (nodejs/node#65579).
 */
const LIST_OF_NOBODY = `-----BEGIN X509 CRL-----
MIGVMD0wCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGbm9ib2R5Fw0yNjExMjgyMDI1
MzhaFw0yNjExMjkyMDI1MzhaMAoGCCqGSM49BAMCA0gAMEUCIQDzsqtOYuyDZixb
3YLNO41TQCQRc6S1dMY8XNgQcRAtaQIgNB45QxnhhtWUnQq4U24285cCFbHR02a3
swP6vcqPpHA=
-----END X509 CRL-----
`

/**
 * What a client without a good certificate meets: a 401, or the end of its connection; or nothing, where none has to have
 * one.
 */
export type ClientAuth = 'required' | 'handshake' | 'disabled'

/** What can change while an endpoint serves. */
export interface EndpointSettings {
  readonly credentials: Credentials
  /** CAs that clients are told of, PEM. */
  readonly ca: readonly string[]
  /** Shared by endpoints that are to resume each other's sessions: 48 bytes. */
  readonly ticketKeys: Buffer
  readonly idleConnectionMs: number
  /** Milliseconds from a request's first byte, or the handshake, to its complete header. */
  readonly headerMs: number
}

export interface EndpointListener {
  /** A new TCP connection: {@link Endpoint.begin} begins TLS on it. */
  connected(socket: Socket): void
  /** A handshake is done: {@link Endpoint.serve} begins HTTP on it. */
  secured(socket: TLSSocket): void
  failed(error: Error, socket: TLSSocket): void
}

/** TCP, TLS and HTTP of one port, with a halt between each two of them. */
export class Endpoint {
  /** Listens, and emits HTTP's events. */
  readonly server: Server
  /** Does what `server` does, and resumes no session that it did not begin itself. */
  readonly #fresh: ReturnType<typeof createTlsServer>
  readonly #beginTls: (socket: Socket) => void
  readonly #beginHttp: (socket: TLSSocket) => void
  readonly #clientAuth: ClientAuth

  constructor(clientAuth: ClientAuth, settings: EndpointSettings, listener: EndpointListener) {
    this.#clientAuth = clientAuth
    const tls = {
      ALPNProtocols: ['http/1.1'],
      requestCert: clientAuth !== 'disabled',
      // Only OpenSSL can end a handshake; elsewhere a client without a good certificate is let in, to be told so.
      rejectUnauthorized: clientAuth === 'handshake',
      // Negative: none. The gate has one timer for all handshakes; Node.js would set one for each.
      handshakeTimeout: -1,
    }
    this.server = createHttpsServer({
      ...tls,
      ...this.#context(settings),
      headersTimeout: settings.headerMs,
      requestTimeout: settings.headerMs,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: settings.idleConnectionMs,
      noDelay: true,
      // Node.js would answer a missing Host header with an empty reply; the application answers it with a ProxyError.
      requireHostHeader: false,
    })
    this.#fresh = createTlsServer({ ...tls, ...this.#freshContext(settings) })
    this.#beginTls = takeOver(this.server, 'connection', (socket: Socket) => listener.connected(socket))
    this.#beginHttp = takeOver(this.server, 'secureConnection', (socket: TLSSocket) => listener.secured(socket))
    this.#fresh.on('secureConnection', (socket) => listener.secured(socket))
    for (const server of [this.server, this.#fresh]) {
      server.on('tlsClientError', (error, socket) => listener.failed(error, socket))
    }
  }

  /** @param mayResume whether the client's ticket is taken, if it has one */
  begin(socket: Socket, mayResume: boolean): void {
    if (mayResume) this.#beginTls(socket)
    else this.#fresh.emit('connection', socket)
  }

  serve(socket: TLSSocket): void {
    this.#beginHttp(socket)
  }

  /** From the next handshake on; no connection is cut. If it throws, nothing has changed. */
  renew(settings: EndpointSettings): void {
    this.#fresh.setSecureContext(this.#freshContext(settings))
    this.server.setSecureContext(this.#context(settings))
    this.server.keepAliveTimeout = settings.idleConnectionMs
    this.server.headersTimeout = settings.headerMs
    this.server.requestTimeout = settings.headerMs
  }

  /** Sessions that {@link Endpoint.begin} began before are not resumed there any more where it may not resume. */
  forgetFreshSessions(): void {
    this.#fresh.setTicketKeys(randomBytes(TICKET_KEY_BYTES))
  }

  /** No new connections from now on; live ones stay. Resolves when none is left. */
  stopAccepting(): Promise<void> {
    // Not the HTTPS server's own close(), which would cut idle connections.
    return new Promise((resolve) => NetServer.prototype.close.call(this.server, () => resolve()))
  }

  #context({ credentials, ca, ticketKeys }: EndpointSettings): SecureContextOptions {
    return {
      ...credentials.secureContextOptions(),
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: SUITES,
      ecdhCurve: GROUPS,
      ca: [...ca],
      ...(this.#clientAuth === 'required' && { crl: LIST_OF_NOBODY }),
      // A session holds the client's certificate, or none: one that was begun where none was asked for is of no use here.
      sessionIdContext: `ekm-gateway ${this.#clientAuth}`,
      sessionTimeout: SESSION_SECONDS,
      ticketKeys,
    }
  }

  #freshContext(settings: EndpointSettings): SecureContextOptions {
    return this.#context({ ...settings, ticketKeys: randomBytes(TICKET_KEY_BYTES) })
  }
}

/** Puts `first` in the place of what a server does about an event, and returns that. */
function takeOver<Source extends Socket>(
  server: Server,
  event: 'connection' | 'secureConnection',
  first: (socket: Source) => void,
): (socket: Source) => void {
  const listeners = server.listeners(event) as ((this: Server, socket: Source) => void)[]
  server.removeAllListeners(event)
  server.on(event, first as (socket: Socket) => void)
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket)
  }
}

/** The TCP connection that a TLS socket was made on, which Node.js does not show by a name of its own. */
export const connectionBelow = (socket: TLSSocket): Socket =>
  (socket as unknown as { readonly _parent: Socket })._parent
