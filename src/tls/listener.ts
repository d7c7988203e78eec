import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { systemCode } from '../../adapters/contract/index.ts'
import { isNamed } from '../ekm/allow-list.ts'
import { Line } from '../base/line.ts'
import { listen } from '../base/listen.ts'
import { writeHandshakeFailure } from '../telemetry/audit.ts'
import { describeBug, type Log } from '../telemetry/log.ts'
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

/** OpenSSL's word for what is not TLS, a PROXY header among others. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

/** What can change while the listener listens. */
export interface ListenerSettings extends GateLimits, Omit<EndpointSettings, 'ca'> {
  readonly trust: ClientTrust
}

/** What one process finds out and the others of the same gateway can use. */
export type Lesson =
  /** An issuing CA that a client taught, DER in base64, and the fingerprint of the root that it leads to. */
  | { readonly issuer: string; readonly root: string }
  /** A network whose clients have to do full handshakes, since one was refused: as in {@link FullHandshakes.ask}. */
  | { readonly fullHandshakes: string; readonly fingerprint: string }

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
  readonly clientAuth: ClientAuth
  readonly log: Log
  readonly events?: ListenerEvents | undefined
}

// What is known of a socket is kept on it: what a WeakMap leads to is alive to V8's collection of what is young, whether its
// key is or not.
const CONNECTION = Symbol('connection')

/** A connection that the gate has let begin. */
interface Connection {
  readonly arrival: Arrival
  /** Whether any session may be resumed on it, not only one of the time since full handshakes were asked for. */
  readonly mayResume: boolean
  /** It has ended, one way or the other. */
  isHandshakeOver: boolean
  welcome: Welcome | undefined
}

/** A connection whose client is known. */
interface Welcome {
  readonly arrival: Arrival
  readonly socket: TLSSocket
  readonly identity: Identity
}

/** Above TLS or below. */
interface Connected extends Socket {
  [CONNECTION]?: Connection
}

const connectionOf = (socket: object): Connection | undefined => (socket as Connected)[CONNECTION]

/** The TLS side of the gateway: an HTTPS server without a request handler, which knows the client of each connection. */
export class Listener {
  readonly #options: ListenerOptions
  #settings: ListenerSettings
  readonly #gate: Gate
  readonly #endpoint: Endpoint
  readonly #fullHandshakes = new FullHandshakes()
  readonly #open = new Line<Welcome>()
  #next: Succession | undefined
  readonly #shedReport: ShedReport
  /** Is told what other processes of the same gateway are to learn. */
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

  /** The client of a connection whose handshake is done, by what holds now. */
  clientOf(socket: object): Client {
    return connectionOf(socket)?.welcome?.identity.at(Date.now()) ?? { audit: {}, refusal: 'NO_HANDSHAKE' }
  }

  /** Whether some pool allows a connection's client, by what was found last. */
  isAllowed(socket: object): boolean {
    return connectionOf(socket)?.arrival.isAllowed ?? false
  }

  /**
   * Judges a connection's client anew if that may find something else by now: a path or a list has ended, a certificate
   * begins, or another client taught an issuing CA. Before a request is refused, nothing that is known goes unused.
   *
   * @returns what to wait for, if there is something
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
      // A reload, or another request, has restated it meanwhile.
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

  /** Since when a connection has served no request, as in {@link GateOptions}; whoever answers requests knows. */
  idleSince: (socket: TLSSocket) => number | undefined = () => undefined

  /** What `trust` finds for the clients that are connected: {@link Listener.renew} needs it. */
  async judge(trust: ClientTrust): Promise<ClientVerdicts> {
    const next = new Succession(trust, this.#settings.trust)
    // Who comes from now on is judged by both.
    this.#next = next
    for (const { identity } of this.#open.values()) await next.judge(identity.verdict)
    return next.verdicts
  }

  /** The trust that {@link Listener.judge} was asked about is not going to be the next one. */
  abandon(): void {
    this.#next = undefined
  }

  /**
   * Takes other settings, from the next handshake on; no connection is cut. Returns connections to close: their clients are
   * trusted no more, or not without a new handshake.
   *
   * @param verdicts what the new trust found
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

  /** Takes over what another process of the same gateway found out. */
  learn(lesson: Lesson): void {
    if ('issuer' in lesson) {
      this.#settings.trust.learn(parseCertificate(Buffer.from(lesson.issuer, 'base64')), lesson.root)
    } else this.#fullHandshakes.ask(lesson.fullHandshakes, lesson.fingerprint, performance.now())
  }

  /** Rejects with an {@link OperatorError}. Resolves with the port, which the system chooses for port 0. */
  listen(): Promise<number> {
    const { host, port } = this.#options
    return listen(this.server, host, port)
  }

  /** No new connections from now on; live ones stay. Resolves when none is left. */
  stopAccepting(): Promise<void> {
    return this.#endpoint.stopAccepting()
  }

  /** Says farewell on connections that serve no request, and goes on reading: a reset could cost a client its last reply. */
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
    socket[CONNECTION] = { arrival, mayResume, isHandshakeOver: false, welcome: undefined }
    this.#endpoint.begin(socket, mayResume)
  }

  #identify(socket: TLSSocket): void {
    const connection = this.#endHandshake(socket)
    // Nobody comes past the gate.
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
    // It may be gone since, and its end is told to nobody any more.
    if (socket.destroyed) return
    const { clientAuth, events } = this.#options
    const { arrival } = connection
    const client = identity.at(Date.now())
    const { audit, refusal } = client
    const standing = this.#standingOf(client)
    const fingerprint = audit.client_cert_sha256 ?? ''
    if (!audit.tls_resumed) this.#fullHandshakes.done(arrival.network, fingerprint)
    else if (standing.kind !== 'allowed') this.#askFullHandshakes(connection, fingerprint)
    if (standing.kind === 'stranger' && clientAuth === 'handshake') {
      this.#tellFailure({ reason: refusal ?? '' }, arrival.address)
      return void socket.destroy()
    }
    const welcome = { arrival, socket, identity }
    connection.welcome = welcome
    const connected: Connected = socket
    connected[CONNECTION] = connection
    const place = this.#open.join(welcome)
    socket.on('close', () => this.#open.leave(place))
    this.#gate.handshakeDone(arrival, standing, costMs)
    events?.handshake(audit.tls_resumed ? 'resumed' : 'full')
    this.#endpoint.serve(socket)
  }

  /** How the gate counts a client's connections. One identity is one common name, whatever its certificates. */
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
    // Node.js closes a connection that OpenSSL did not authorize, and then tells only that it was closed.
    const refusal: unknown = this.#options.clientAuth === 'handshake' ? socket.authorizationError : undefined
    const reason = typeof refusal === 'string' ? refusal : systemCode(error)
    if (reason === NO_TLS) this.#gate.suspectProxyHeaders()
    this.#tellFailure({ reason }, address)
  }

  #tellFailure({ reason, detail }: Failure, address: string): void {
    const more = detail === undefined ? {} : { detail }
    writeHandshakeFailure(this.#options.log, { reason, ...more, remote_address: address })
    this.#options.events?.handshakeFailed(reason)
  }

  /** Once for each handshake: Node.js can tell of its end, and then of what becomes of its socket. */
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

/** Why there is no connection, in the gate's word, OpenSSL's or ours. */
interface Failure {
  readonly reason: string
  readonly detail?: string
}

const endpointSettings = ({ trust, ...settings }: ListenerSettings): EndpointSettings => ({ ...settings, ca: trust.ca })
