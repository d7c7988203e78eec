import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { systemCode } from '../../adapters/contract/index.ts'
import { isNamed, type VerifiedClient } from '../ekm/allow-list.ts'
import { Queue, type Place } from '../base/queue.ts'
import { listen } from '../base/listen.ts'
import { writeHandshakeFailure } from '../telemetry/audit.ts'
import { describeBug } from '../telemetry/bug.ts'
import type { Log } from '../telemetry/log.ts'
import { parseCertificate } from '../x509/certificate.ts'
import { anonymous, identify, Identity, type Client, type ClientEntry, type ClientTrust } from './client.ts'
import { connectionBelow, Endpoint, type ClientAuth, type EndpointSettings } from './endpoint.ts'
import { FullHandshakes } from './full-handshakes.ts'
import { Gate, type ConnectionCounts, type GateLimits } from './gate.ts'
import { ShedReport } from './shed-report.ts'
import type { Arrival, ShedReason, Standing } from './stranger.ts'
import { Succession, type ClientVerdicts } from './succession.ts'
import { spelled } from './trust.ts'
import type { Verdict } from './verdict.ts'

/** OpenSSL's code for data that is not TLS, such as a PROXY header. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

/** Settings that can change while the listener listens. */
export interface ListenerSettings extends GateLimits, Omit<EndpointSettings, 'ca'> {
  readonly trust: ClientTrust
}

/** Something that one process learned and other processes of the same gateway can use. */
export type Lesson =
  /** An issuing CA that a client taught, as DER in base64, and the fingerprint of the root that it leads to. */
  | { readonly issuer: string; readonly root: string }
  /** A network whose clients must do full handshakes because one was refused: see {@link FullHandshakes.ask}. */
  | { readonly fullHandshakes: string; readonly fingerprint: string }

/** Called with what happens to connections, for metrics. */
export interface ListenerEvents {
  handshake(kind: 'full' | 'resumed'): void
  /** @param reason as in {@link HandshakeFailure} */
  handshakeFailed(reason: string): void
  /** @param reason a {@link ClientRefusal}, or OpenSSL's code if OpenSSL refused the client's certificate */
  clientRefused(reason: string): void
  shed(reason: ShedReason): void
}

export interface ListenerOptions {
  readonly host: string
  readonly port: number
  readonly clientAuth: ClientAuth
  readonly log: Log
  readonly events?: ListenerEvents | undefined
  /**
   * Called at the handshake of each client that some pool allows, with the expiry of its certificate in ms since the
   * epoch.
   */
  readonly onAllowed?: ((client: VerifiedClient, end: number) => void) | undefined
}

// Data about a socket is kept on the socket. In a WeakMap, V8's collection of the young generation would keep the
// values alive even if their keys are not.
const CONNECTION = Symbol('connection')

/** A connection that the gate has let begin. */
interface Connection {
  readonly arrival: Arrival
  /** Whether it may resume any session, not only one that is newer than the demand for full handshakes. */
  readonly mayResume: boolean
  /** True when its handshake has succeeded or failed. */
  isHandshakeOver: boolean
  welcome: Welcome | undefined
  /** Its place among the connections whose client is known. */
  place: Place<Welcome> | undefined
}

/** A connection whose client is known. */
interface Welcome {
  readonly arrival: Arrival
  readonly socket: TLSSocket
  readonly identity: Identity
}

/** The TLS socket or the TCP socket below it. */
interface Connected extends Socket {
  [CONNECTION]?: Connection
}

const connectionOf = (socket: object): Connection | undefined => (socket as Connected)[CONNECTION]

/**
 * The TLS side of the gateway: an HTTPS server without a request handler, which knows the client of each connection.
 */
export class Listener {
  readonly #options: ListenerOptions
  #settings: ListenerSettings
  readonly #gate: Gate
  readonly #endpoint: Endpoint
  readonly #fullHandshakes = new FullHandshakes()
  readonly #open = new Queue<Welcome>()
  #next: Succession | undefined
  readonly #shedReport: ShedReport
  /** Called with what other processes of the same gateway should learn. */
  onLesson: ((lesson: Lesson) => void) | undefined

  constructor(options: ListenerOptions, settings: ListenerSettings) {
    this.#options = options
    this.#settings = settings
    this.#shedReport = new ShedReport(options.log, options.events)
    this.#endpoint = new Endpoint(options.clientAuth, endpointSettings(settings), {
      connected: (socket) => this.#gate.admit(socket),
      secured: (socket) => this.#identify(socket),
      failed: (error, socket) => this.#noteFailure(error, socket),
    })
    this.#gate = new Gate(settings, {
      begin: (arrival) => this.#begin(arrival),
      onClosed: ({ socket }) => this.#forget(socket),
      onShed: (reason) => this.#shedReport.note(reason),
      onRefused: ({ address }, refusal) => this.#tellFailure(refusal, address),
      idleSince: ({ socket }) => {
        const welcome = connectionOf(socket)?.welcome
        return welcome && this.idleSince(welcome.socket)
      },
    })
    this.server.on('request', ({ socket }: IncomingMessage) => {
      if (this.isAllowed(socket)) this.#gate.noteRequest()
    })
    this.#follow(settings.trust)
  }

  /** Emits HTTP's events. */
  get server(): Server {
    return this.#endpoint.server
  }

  /** The client of a connection after its handshake, as of now. */
  clientOf(socket: object): Client {
    return connectionOf(socket)?.welcome?.identity.at(Date.now()) ?? { audit: {}, refusal: 'NO_HANDSHAKE' }
  }

  /** Whether some pool allows the connection's client, according to the last verdict. */
  isAllowed(socket: object): boolean {
    return connectionOf(socket)?.arrival.isAllowed ?? false
  }

  /**
   * Judges a connection's client again if the result may differ by now: a path or a list has ended, a certificate has
   * become valid, or another client has taught an issuing CA. So a request is never refused because of outdated
   * knowledge.
   *
   * @returns a promise to wait for; undefined if nothing can differ
   */
  refresh(socket: object): Promise<void> | undefined {
    const welcome = connectionOf(socket)?.welcome
    const verdict = welcome?.identity.verdict
    if (welcome === undefined || verdict === undefined || verdict.isCurrent(Date.now())) return undefined
    return this.#refresh(welcome, verdict)
  }

  async #refresh({ arrival, identity }: Welcome, verdict: Verdict<ClientEntry>): Promise<void> {
    try {
      const renewed = await this.#settings.trust.renew(verdict, Date.now())
      // A reload or another request has updated it meanwhile.
      if (identity.verdict !== verdict) return
      identity.restate(renewed)
      this.#gate.restate(arrival, this.#standingOf(identity.at(Date.now())), renewed.costMs)
    } catch (error) {
      this.#options.log.error('internal_error', describeBug(error))
    }
  }

  get connections(): ConnectionCounts {
    return this.#gate.connections
  }

  /** Since when a connection has been without a request, as in {@link GateOptions}. The HTTP server sets it. */
  idleSince: (socket: TLSSocket) => number | undefined = () => undefined

  /** Judges the connected clients by `trust`. {@link Listener.renew} needs the result. */
  async judge(trust: ClientTrust): Promise<ClientVerdicts> {
    const next = new Succession(trust, this.#settings.trust)
    // New clients are judged by both trusts from now on.
    this.#next = next
    for (const { identity } of this.#open.values()) await next.judge(identity.verdict)
    return next.verdicts
  }

  /** Drops the trust that was passed to {@link Listener.judge}. */
  abandon(): void {
    this.#next = undefined
  }

  /**
   * Takes other settings from the next handshake on, and cuts no connection.
   *
   * @param verdicts the verdicts of the new trust
   * @returns connections to close: their clients are no longer trusted, or must handshake again
   */
  renew(settings: ListenerSettings, verdicts: ClientVerdicts): readonly Socket[] {
    const before = this.#settings
    this.#next = undefined
    // If this throws, nothing has changed yet.
    this.#endpoint.renew(endpointSettings(settings))
    this.#settings = settings
    this.#gate.renew(settings)
    before.trust.onLearned = undefined
    this.#follow(settings.trust)
    const refused: Socket[] = []
    for (const { arrival, socket, identity } of this.#open.values()) {
      const wasVerified = identity.at(Date.now()).verified !== undefined
      const leaf = identity.verdict?.leaf
      identity.restate(
        leaf && (verdicts.get(leaf.fingerprint) ?? settings.trust.recall(spelled(leaf), undefined, Date.now())),
      )
      const client = identity.at(Date.now())
      this.#gate.restate(arrival, this.#standingOf(client))
      if (wasVerified && client.verified === undefined) refused.push(socket)
    }
    return refused
  }

  /** Takes over what another process of the same gateway learned. */
  learn(lesson: Lesson): void {
    if ('issuer' in lesson) {
      this.#settings.trust.learn(parseCertificate(Buffer.from(lesson.issuer, 'base64')), lesson.root)
    } else this.#fullHandshakes.ask(lesson.fullHandshakes, lesson.fingerprint, performance.now())
  }

  /**
   * @returns the port; for port 0 the system chooses it
   * @throws OperatorError
   */
  listen(): Promise<number> {
    const { host, port } = this.#options
    return listen(this.server, host, port)
  }

  /** Refuses new connections; open ones stay. Resolves when none is left. */
  stopAccepting(): Promise<void> {
    return this.#endpoint.stopAccepting()
  }

  /** Ends connections without a request, and keeps reading from them: a reset could cost a client its last reply. */
  endIdle(isServing: (socket: TLSSocket) => boolean): void {
    for (const { socket } of this.#open.values()) if (!isServing(socket)) socket.end()
  }

  closeConnections(): void {
    this.server.closeAllConnections()
    this.#gate.close()
  }

  #begin(arrival: Arrival): void {
    const socket: Connected = arrival.socket
    const mayResume = !this.#fullHandshakes.isAsked(arrival.network, performance.now())
    socket[CONNECTION] = { arrival, mayResume, isHandshakeOver: false, welcome: undefined, place: undefined }
    this.#endpoint.begin(socket, mayResume)
  }

  #forget(socket: Socket): void {
    const connection = connectionOf(socket)
    if (connection?.place === undefined) return
    this.#open.leave(connection.place)
    connection.place = undefined
  }

  #identify(socket: TLSSocket): void {
    const connection = this.#endHandshake(socket)
    // Every connection must have passed the gate.
    if (connection === undefined) return void socket.destroy()
    const { arrival } = connection
    if (this.#options.clientAuth === 'disabled') return this.#welcome(socket, connection, anonymous(socket, arrival))
    const { trust } = this.#settings
    let costMs = 0
    const identity = identify(socket, arrival, trust, (ms) => (costMs = ms))
    if (identity instanceof Identity && this.#next === undefined) return this.#welcome(socket, connection, identity)
    Promise.resolve(identity)
      .then(async (judged) => {
        await this.#next?.judge(judged.verdict)
        if (this.#settings.trust === trust) return judged
        this.#settings.trust.learnFrom(trust)
        return this.#judgeAgain(judged)
      })
      .then((judged) => this.#welcome(socket, connection, judged, costMs))
      .catch((error: unknown) => {
        this.#options.log.error('internal_error', describeBug(error))
        socket.destroy()
      })
  }

  /** The trust has changed while a certificate was judged. */
  async #judgeAgain(identity: Identity): Promise<Identity> {
    const leaf = identity.verdict?.leaf
    const { trust } = this.#settings
    if (leaf !== undefined) identity.restate(await trust.judge(leaf, [], Date.now()))
    return this.#settings.trust === trust ? identity : this.#judgeAgain(identity)
  }

  #welcome(socket: TLSSocket, connection: Connection, identity: Identity, costMs = 0): void {
    // The connection may have ended meanwhile, and its end is not reported to anyone any more.
    if (socket.destroyed) return
    const { clientAuth, events, onAllowed } = this.#options
    const { arrival } = connection
    const client = identity.at(Date.now())
    const { audit, refusal, verified } = client
    const standing = this.#standingOf(client)
    const fingerprint = audit.client_cert_sha256 ?? ''
    if (!audit.tls_resumed) this.#fullHandshakes.done(arrival.network, fingerprint)
    else if (standing.kind !== 'allowed') this.#askFullHandshakes(connection, fingerprint)
    if (standing.kind === 'stranger' && clientAuth === 'handshake') {
      this.#tellFailure({ reason: refusal ?? '' }, arrival.address)
      events?.clientRefused(refusal ?? '')
      return void socket.destroy()
    }
    const welcome = { arrival, socket, identity }
    connection.welcome = welcome
    const connected: Connected = socket
    connected[CONNECTION] = connection
    connection.place = this.#open.join(welcome)
    this.#gate.handshakeDone(arrival, standing, costMs)
    events?.handshake(audit.tls_resumed ? 'resumed' : 'full')
    const end = identity.verdict?.leaf.notAfter
    if (standing.kind === 'allowed' && verified !== undefined && end !== undefined) onAllowed?.(verified, end)
    this.#endpoint.serve(socket)
  }

  /** The standing of a client for the gate. An identity is one common name, whatever its certificates. */
  #standingOf({ audit, verified }: Client): Standing {
    if (this.#options.clientAuth === 'disabled') return { kind: 'allowed', identity: audit.remote_address ?? '' }
    if (verified === undefined) return { kind: 'stranger' }
    const { commonName } = verified
    if (commonName === undefined || !isNamed(verified)) return { kind: 'verified' }
    return { kind: 'allowed', identity: commonName }
  }

  #noteFailure(error: Error, socket: TLSSocket): void {
    const connection = this.#endHandshake(socket)
    if (connection === undefined) return
    const { isSilent, shedReason, address } = connection.arrival
    // A connection that sends nothing is a port probe and is not logged. Shed connections are summarised.
    if (isSilent || (shedReason !== undefined && shedReason !== 'handshake_timeout')) return
    if (shedReason !== undefined) return this.#tellFailure({ reason: 'ERR_TLS_HANDSHAKE_TIMEOUT' }, address)
    // Node.js closes a connection that OpenSSL did not authorize, and then reports only the close.
    const refusal: unknown = this.#options.clientAuth === 'handshake' ? socket.authorizationError : undefined
    const reason = typeof refusal === 'string' ? refusal : systemCode(error)
    if (reason === NO_TLS) this.#gate.suspectProxyHeaders()
    this.#tellFailure({ reason }, address)
    if (typeof refusal === 'string') this.#options.events?.clientRefused(refusal)
  }

  #tellFailure({ reason, detail }: Failure, address: string): void {
    const more = detail === undefined ? {} : { detail }
    writeHandshakeFailure(this.#options.log, { reason, ...more, remote_address: address })
    this.#options.events?.handshakeFailed(reason)
  }

  /**
   * Returns the connection only once for each handshake: Node.js can report the handshake's end and later the socket's
   * end.
   */
  #endHandshake(socket: TLSSocket): Connection | undefined {
    const connection = connectionOf(connectionBelow(socket))
    if (connection === undefined || connection.isHandshakeOver) return undefined
    connection.isHandshakeOver = true
    return connection
  }

  #follow(trust: ClientTrust): void {
    trust.onLearned = (issuer, root) => {
      this.#next?.trust.learn(issuer, root)
      this.onLesson?.({ issuer: issuer.der.toString('base64'), root })
    }
  }

  /** A client was refused on a resumed session. */
  #askFullHandshakes({ arrival: { network }, mayResume }: Connection, fingerprint: string): void {
    if (!mayResume) this.#endpoint.forgetFreshSessions()
    const isNew = this.#fullHandshakes.ask(network, fingerprint, performance.now())
    if (isNew) this.onLesson?.({ fullHandshakes: network, fingerprint })
  }
}

/** Why a connection failed: the gate's reason, OpenSSL's or the gateway's own. */
interface Failure {
  readonly reason: string
  readonly detail?: string
}

const endpointSettings = ({ trust, ...settings }: ListenerSettings): EndpointSettings => ({ ...settings, ca: trust.ca })
