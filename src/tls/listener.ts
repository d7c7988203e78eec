import type { IncomingMessage } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { isNamed, type VerifiedClient } from '../ekm/allow-list.ts'
import { Queue } from '../base/queue.ts'
import { listen } from '../base/listen.ts'
import { describeBug } from '../telemetry/bug.ts'
import type { Log } from '../telemetry/log.ts'
import { parseCertificate } from '../x509/certificate.ts'
import { anonymous, Identity, type Client, type ClientEntry, type ClientTrust } from './client.ts'
import { ClientJudge } from './client-judge.ts'
import { connectionOf, endHandshake, keepOn, type Connection, type Welcome } from './connection.ts'
import { Endpoint, type ClientAuth, type EndpointSettings } from './endpoint.ts'
import { FullHandshakes } from './full-handshakes.ts'
import { Gate, type ConnectionCounts, type GateLimits } from './gate.ts'
import { HandshakeFailures, type HandshakeFailureEvents } from './handshake-failures.ts'
import type { Lesson } from './lesson.ts'
import { ShedReport } from './shed-report.ts'
import type { Arrival, ShedReason, Standing } from './stranger.ts'
import type { ClientVerdicts } from './succession.ts'
import type { Verdict } from './verdict.ts'

/** Settings that can change while the listener listens. */
export interface ListenerSettings extends GateLimits, Omit<EndpointSettings, 'ca'> {
  readonly trust: ClientTrust
}

/** Called with what happens to connections, for metrics. */
export interface ListenerEvents extends HandshakeFailureEvents {
  handshake(kind: 'full' | 'resumed'): void
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

/**
 * The TLS side of the gateway: an HTTPS server without a request handler, which knows the client of each connection.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #gate: Gate
  readonly #endpoint: Endpoint
  readonly #fullHandshakes = new FullHandshakes()
  readonly #open = new Queue<Welcome>()
  readonly #judge: ClientJudge
  readonly #shedReport: ShedReport
  readonly #failures: HandshakeFailures
  /** Called with what other processes of the same gateway should learn. */
  onLesson: ((lesson: Lesson) => void) | undefined

  constructor(options: ListenerOptions, settings: ListenerSettings) {
    this.#options = options
    this.#judge = new ClientJudge(settings.trust, (issuer, root) =>
      this.onLesson?.({ issuer: issuer.der.toString('base64'), root }),
    )
    this.#shedReport = new ShedReport(options.log, options.events)
    this.#failures = new HandshakeFailures(options, () => this.#gate.suspectProxyHeaders())
    this.#endpoint = new Endpoint(options.clientAuth, endpointSettings(settings), {
      connected: (socket) => this.#gate.admit(socket),
      secured: (socket) => this.#identify(socket),
      failed: (error, socket) => this.#noteFailure(error, socket),
    })
    this.#gate = new Gate(settings, {
      begin: (arrival) => this.#begin(arrival),
      onClosed: ({ socket }) => this.#forget(socket),
      onShed: (reason) => this.#shedReport.note(reason),
      onRefused: ({ address }, refusal) => this.#failures.tell(refusal, address),
      idleSince: ({ socket }) => {
        const welcome = connectionOf(socket)?.welcome
        return welcome && this.idleSince(welcome.socket)
      },
    })
    this.server.on('request', ({ socket }: IncomingMessage) => {
      if (this.isAllowed(socket)) this.#gate.noteRequest()
    })
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
      const renewed = await this.#judge.refresh(identity, verdict)
      if (renewed === undefined) return
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
  judge(trust: ClientTrust): Promise<ClientVerdicts> {
    return this.#judge.prepare(
      trust,
      this.#open.values().map(({ identity }) => identity),
    )
  }

  /** Drops the trust that was passed to {@link Listener.judge}. */
  abandon(): void {
    this.#judge.abandon()
  }

  /**
   * Takes other settings from the next handshake on, and cuts no connection.
   *
   * @param verdicts the verdicts of the new trust
   * @returns connections to close: their clients are no longer trusted, or must handshake again
   */
  renew(settings: ListenerSettings, verdicts: ClientVerdicts): readonly Socket[] {
    this.#judge.abandon()
    // If this throws, nothing has changed yet.
    this.#endpoint.renew(endpointSettings(settings))
    this.#gate.renew(settings)
    this.#judge.follow(settings.trust)
    const refused: Socket[] = []
    for (const { arrival, socket, identity } of this.#open.values()) {
      const wasVerified = identity.at(Date.now()).verified !== undefined
      this.#judge.restate(identity, verdicts)
      const client = identity.at(Date.now())
      this.#gate.restate(arrival, this.#standingOf(client))
      if (wasVerified && client.verified === undefined) refused.push(socket)
    }
    return refused
  }

  /** Takes over what another process of the same gateway learned. */
  learn(lesson: Lesson): void {
    if ('issuer' in lesson) {
      this.#judge.learn(parseCertificate(Buffer.from(lesson.issuer, 'base64')), lesson.root)
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
    const { socket } = arrival
    const mayResume = !this.#fullHandshakes.isAsked(arrival.network, performance.now())
    keepOn(socket, { arrival, mayResume, isHandshakeOver: false, welcome: undefined, place: undefined })
    this.#endpoint.begin(socket, mayResume)
  }

  #forget(socket: Socket): void {
    const connection = connectionOf(socket)
    if (connection?.place === undefined) return
    this.#open.leave(connection.place)
    connection.place = undefined
  }

  #identify(socket: TLSSocket): void {
    const connection = endHandshake(socket)
    // Every connection must have passed the gate.
    if (connection === undefined) return void socket.destroy()
    const { arrival } = connection
    if (this.#options.clientAuth === 'disabled') return this.#welcome(socket, connection, anonymous(socket, arrival))
    let costMs = 0
    const identity = this.#judge.identify(socket, arrival, (ms) => (costMs = ms))
    if (identity instanceof Identity) return this.#welcome(socket, connection, identity)
    identity
      .then((judged) => this.#welcome(socket, connection, judged, costMs))
      .catch((error: unknown) => {
        this.#options.log.error('internal_error', describeBug(error))
        socket.destroy()
      })
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
      this.#failures.refused(refusal ?? '', arrival.address)
      return void socket.destroy()
    }
    const welcome = { arrival, socket, identity }
    connection.welcome = welcome
    keepOn(socket, connection)
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
    const connection = endHandshake(socket)
    if (connection !== undefined) this.#failures.note(error, socket, connection.arrival)
  }

  /** A client was refused on a resumed session. */
  #askFullHandshakes({ arrival: { network }, mayResume }: Connection, fingerprint: string): void {
    if (!mayResume) this.#endpoint.forgetFreshSessions()
    const isNew = this.#fullHandshakes.ask(network, fingerprint, performance.now())
    if (isNew) this.onLesson?.({ fullHandshakes: network, fingerprint })
  }
}

const endpointSettings = ({ trust, ...settings }: ListenerSettings): EndpointSettings => ({ ...settings, ca: trust.ca })
