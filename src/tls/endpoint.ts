import { randomBytes } from 'node:crypto'
import { createServer as createHttpsServer, type Server } from 'node:https'
import { Server as NetServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { createServer as createTlsServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { Credentials } from '../settings/credentials.ts'
import { TICKET_KEY_BYTES } from '../config/ticket-keys.ts'

/** Exactly the suites of the EKM Proxy API. */
const SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'
/**
 * The groups of the key exchange. OpenSSL's own list includes finite fields: one of 8192 bits takes 150 ms, for a hello
 * of 1.2 KiB that anyone can send again and again. The first group protects data keys from those who record today and
 * have a quantum computer later; OpenSSL supports it since 3.5.
 */
const CLASSIC_GROUPS = 'X25519:P-256:P-384'
// To try the group would leave an error in OpenSSL. Node.js 20 aborts when it finds one after a call of WebCrypto.
const GROUPS = isOlderThan(process.versions.openssl, 3, 5) ? CLASSIC_GROUPS : `X25519MLKEM768:${CLASSIC_GROUPS}`

/** What the kernel accepts at most before Node.js takes it: Node.js' own default. */
const MAX_ACCEPTED = 511

/** Seconds for which a session may be resumed after its last handshake. */
const SESSION_SECONDS = 3600

/**
 * Node.js 24.21 and 26.8 do not show the certificates that came with a client's own if OpenSSL authorized the client
 * (nodejs/node#65579). Later versions of Node.js 24 count as such until one is known to have the fix.
 */
const HIDES_CHAINS =
  isBetween(process.versions.node, [24, 21], [25, 0]) || isBetween(process.versions.node, [26, 8], [26, 9])

type MajorMinor = readonly [major: number, minor: number]

/** Whether `version` is `first` or later, and older than `end`. */
function isBetween(version: string, first: MajorMinor, end: MajorMinor): boolean {
  return !isOlderThan(version, ...first) && isOlderThan(version, ...end)
}

function isOlderThan(version: string, major: number, minor: number): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return itsMajor < major || (itsMajor === major && itsMinor < minor)
}

/**
 * A revocation list of no real CA. With any list, OpenSSL asks for one of every CA, and therefore authorizes no client.
 * Node.js then creates an Error at each handshake, which costs 5 % of a resumed one.
 */
const LIST_OF_NOBODY = `-----BEGIN X509 CRL-----
MIGVMD0wCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGbm9ib2R5Fw0yNjExMjgyMDI1
MzhaFw0yNjExMjkyMDI1MzhaMAoGCCqGSM49BAMCA0gAMEUCIQDzsqtOYuyDZixb
3YLNO41TQCQRc6S1dMY8XNgQcRAtaQIgNB45QxnhhtWUnQq4U24285cCFbHR02a3
swP6vcqPpHA=
-----END X509 CRL-----
`

/**
 * How a client without a good certificate is refused: by a 401, or by the end of its connection. Or not at all, if
 * certificates are not required.
 */
export type ClientAuth = 'required' | 'handshake' | 'disabled'

/** Settings that can change while an endpoint serves. */
export interface EndpointSettings {
  readonly credentials: Credentials
  /** PEM of the CAs that clients are told about. */
  readonly ca: readonly string[]
  /** 48 bytes. Endpoints that resume each other's sessions share them. */
  readonly ticketKeys: Buffer
  readonly idleConnectionMs: number
  /** Milliseconds from a request's first byte, or from the end of the handshake, to its complete header. */
  readonly headerMs: number
}

export interface EndpointListener {
  /** A new TCP connection. {@link Endpoint.begin} begins TLS on it. */
  connected(socket: Socket): void
  /** A finished handshake. {@link Endpoint.serve} begins HTTP on it. */
  secured(socket: TLSSocket): void
  failed(error: Error, socket: TLSSocket): void
}

/** TCP, TLS and HTTP of one port, with a stop between each two of them. */
export class Endpoint {
  /** Listens, and emits HTTP's events. */
  readonly server: Server
  /** Like `server`, but resumes only sessions that it began itself. */
  readonly #fresh: ReturnType<typeof createTlsServer>
  readonly #beginTls: (socket: Socket) => void
  readonly #beginHttp: (socket: TLSSocket) => void
  readonly #clientAuth: ClientAuth

  constructor(clientAuth: ClientAuth, settings: EndpointSettings, listener: EndpointListener) {
    this.#clientAuth = clientAuth
    const tls = {
      ALPNProtocols: ['http/1.1'],
      requestCert: clientAuth !== 'disabled',
      // Only OpenSSL can end a handshake. Otherwise a client without a good certificate is let in to get its 401.
      rejectUnauthorized: clientAuth === 'handshake',
      // Negative means none. The gate has one timer for all handshakes, while Node.js would set one for each.
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
      // Node.js would answer a missing Host header with an empty reply. The application answers with a ProxyError.
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

  /** @param mayResume whether the client's ticket is accepted, if it has one */
  begin(socket: Socket, mayResume: boolean): void {
    if (mayResume) this.#beginTls(socket)
    else this.#fresh.emit('connection', socket)
  }

  serve(socket: TLSSocket): void {
    this.#beginHttp(socket)
  }

  /** Takes effect with the next handshake and cuts no connection. If it throws, nothing has changed. */
  renew(settings: EndpointSettings): void {
    this.#fresh.setSecureContext(this.#freshContext(settings))
    this.server.setSecureContext(this.#context(settings))
    this.server.keepAliveTimeout = settings.idleConnectionMs
    this.server.headersTimeout = settings.headerMs
    this.server.requestTimeout = settings.headerMs
  }

  /** Sessions of {@link Endpoint.begin} from before are no longer resumed where it may not resume. */
  forgetFreshSessions(): void {
    this.#fresh.setTicketKeys(randomBytes(TICKET_KEY_BYTES))
  }

  /** Refuses new connections; open ones stay. Resolves when none is left. */
  async stopAccepting(): Promise<void> {
    await this.#takeAccepted()
    // Not the HTTPS server's own close(), which would cut idle connections.
    return new Promise((resolve) => NetServer.prototype.close.call(this.server, () => resolve()))
  }

  /** The kernel would reset what it has accepted and Node.js has not taken yet, which may be one at a turn of its loop. */
  async #takeAccepted(): Promise<void> {
    let taken = 0
    const count = () => (taken += 1)
    this.server.on('connection', count)
    // The rest of this turn may be behind its look at sockets.
    await setImmediate()
    for (let turn = 0, before = -1; turn < MAX_ACCEPTED && taken > before; turn += 1) {
      before = taken
      await setImmediate()
    }
    this.server.off('connection', count)
  }

  #context({ credentials, ca, ticketKeys }: EndpointSettings): SecureContextOptions {
    return {
      ...credentials.secureContextOptions(),
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: SUITES,
      ecdhCurve: GROUPS,
      ca: [...ca],
      ...(HIDES_CHAINS && this.#clientAuth === 'required' && { crl: LIST_OF_NOBODY }),
      // A session contains the client's certificate, or none. So a session from a mode without certificates must not be
      // resumed here.
      sessionIdContext: `ekm-gateway ${this.#clientAuth}`,
      sessionTimeout: SESSION_SECONDS,
      ticketKeys,
    }
  }

  #freshContext(settings: EndpointSettings): SecureContextOptions {
    return this.#context({ ...settings, ticketKeys: randomBytes(TICKET_KEY_BYTES) })
  }
}

/**
 * Replaces a server's listeners for an event by `first`.
 * @returns the former listeners as one function
 */
function takeOver<Accepted extends Socket>(
  server: Server,
  event: 'connection' | 'secureConnection',
  first: (socket: Accepted) => void,
): (socket: Accepted) => void {
  const listeners = server.listeners(event) as ((this: Server, socket: Accepted) => void)[]
  server.removeAllListeners(event)
  server.on(event, first as (socket: Socket) => void)
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket)
  }
}

/** The TCP connection below a TLS socket. Node.js has no public name for it. */
export const connectionBelow = (socket: TLSSocket): Socket =>
  (socket as unknown as { readonly _parent: Socket })._parent
