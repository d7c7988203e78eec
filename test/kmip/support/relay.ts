import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { connect, createSecureContext, TLSSocket, type SecureContext } from 'node:tls'
import type { KmipOptions } from '../../../adapters/kmip/index.ts'
import { resultStatus, tag } from '../../../adapters/kmip/protocol/numbers.ts'
import { tlsOptions } from '../../../adapters/kmip/transport/tls.ts'
import {
  child,
  decode,
  encode,
  enumeration,
  FrameReader,
  integer,
  structure,
  type Item,
  type ItemOf,
} from '../../../adapters/ttlv-codec/src/index.ts'
import type { Identity } from '../../support/pki.ts'

/** What the relay does with a request. */
export type Action =
  | { readonly kind: 'delay'; readonly ms: number }
  /** Never answers, and keeps the connection open: no FIN, no RST. */
  | { readonly kind: 'swallow' }
  /** Resets the connection instead of an answer. */
  | { readonly kind: 'cut' }
  /** Fails the whole message with this result reason. */
  | { readonly kind: 'refuse'; readonly reason: number }

/** The first matching rule applies to a request. An absent member matches every request. */
export interface Rule {
  readonly action: Action
  readonly operation?: number
  /** A unique identifier in the request. */
  readonly key?: string
  /** The number of the connection from 1 on, in order of arrival. */
  readonly connection?: number
  /** Matches messages with more operations than this. */
  readonly batchOver?: number
}

/** The content of a request message. */
export interface Received {
  readonly operations: readonly number[]
  /** The unique identifiers in the message. */
  readonly keys: ReadonlySet<string>
  readonly connection: number
}

type Structure = ItemOf<'Structure'>

/**
 * Stands between an adapter and a real KMIP server, and treats single requests and connections as a network, a firewall
 * or a slow server does. It terminates TLS on both sides in order to read requests.
 */
export class KmipRelay implements AsyncDisposable {
  /** May change at any time. Requests that arrive later follow the new rules. */
  rules: readonly Rule[] = []
  /** The treatment of new connections: `refuse` resets them, `swallow` lets them wait for ever. */
  newcomers: 'serve' | 'refuse' | 'swallow' = 'serve'
  /** The number of connections so far that were not refused. */
  accepted = 0
  /** Every message received, whatever happened to it. */
  readonly received: Received[] = []
  /** The options of an adapter that goes through the relay. */
  readonly options: KmipOptions
  readonly #upstream: KmipOptions
  readonly #server: Server
  readonly #identity: SecureContext
  readonly #passages = new Set<Passage>()
  /** Sockets that are never served. */
  readonly #abandoned = new Set<Socket>()

  private constructor(upstream: KmipOptions, server: Server, { certificate: cert, key }: Identity) {
    this.#upstream = upstream
    this.#server = server
    this.#identity = createSecureContext({ cert, key })
    this.options = { ...upstream, servers: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }] }
    server.on('connection', (socket) => this.#accept(socket))
  }

  /**
   * @param upstream how to reach the real server, as a client with the adapter's rights
   * @param identity the relay's certificate towards the adapter, for 127.0.0.1
   */
  static async start(upstream: KmipOptions, identity: Identity): Promise<KmipRelay> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new KmipRelay(upstream, server, identity)
  }

  /** The adapter's open connections, including dead ones. */
  get connections(): number {
    return this.#passages.size + this.#abandoned.size
  }

  /** Connections that {@link swallowOpen} has cut off, and that the adapter has not closed. */
  get dead(): number {
    return [...this.#passages].filter(({ isDead }) => isDead).length
  }

  /** Discards all further bytes of the open connections in both directions, without notifying either side. */
  swallowOpen(): void {
    for (const passage of this.#passages) passage.isDead = true
  }

  /** Resets what is open now. */
  cutOpen(): void {
    for (const passage of [...this.#passages]) passage.cut()
    for (const socket of this.#abandoned) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cutOpen()
    await closed
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy())
    if (this.newcomers === 'refuse') {
      socket.resetAndDestroy()
      return
    }
    this.accepted += 1
    if (this.newcomers === 'swallow') {
      this.#abandoned.add(socket)
      socket.once('close', () => this.#abandoned.delete(socket))
      return
    }
    const [server] = this.#upstream.servers
    if (server === undefined) throw new Error('a relay needs a server behind it')
    const passage = new Passage(socket, this.#identity, connect(tlsOptions(server, this.#upstream)))
    const connection = this.accepted
    passage.actionFor = (operations, keys) => {
      const received = { operations, keys, connection }
      this.received.push(received)
      return this.rules.find((rule) => fits(rule, received))?.action
    }
    this.#passages.add(passage)
    socket.once('close', () => this.#passages.delete(passage))
  }
}

function fits(rule: Rule, { operations, keys, connection }: Received): boolean {
  return (
    (rule.operation === undefined || operations.includes(rule.operation)) &&
    (rule.key === undefined || keys.has(rule.key)) &&
    (rule.connection === undefined || rule.connection === connection) &&
    (rule.batchOver === undefined || operations.length > rule.batchOver)
  )
}

/** One connection of the adapter, and its connection to the server. */
class Passage {
  isDead = false
  actionFor: (operations: readonly number[], keys: ReadonlySet<string>) => Action | undefined = () => undefined
  readonly #raw: Socket
  readonly #adapter: TLSSocket
  readonly #server: TLSSocket

  constructor(raw: Socket, identity: SecureContext, server: TLSSocket) {
    this.#raw = raw
    this.#adapter = new TLSSocket(raw, { isServer: true, secureContext: identity })
    this.#server = server
    // Nagle's algorithm would add 40 ms to the first request of a new connection.
    raw.setNoDelay(true)
    server.setNoDelay(true)
    const requests = new FrameReader((frame) => this.#take(frame))
    this.#adapter.on('data', (chunk: Buffer) => {
      if (!this.isDead) requests.push(chunk)
    })
    server.on('data', (chunk: Buffer) => {
      if (!this.isDead) this.#adapter.write(chunk)
    })
    this.#adapter.on('error', () => raw.destroy())
    raw.once('close', () => server.destroy())
    server.on('error', () => server.destroy())
    server.on('close', () => {
      if (!this.isDead) this.#adapter.end()
    })
  }

  cut(): void {
    this.#raw.resetAndDestroy()
    this.#server.destroy()
  }

  #take(frame: Uint8Array): void {
    const message = decode(frame)
    if (message.type !== 'Structure') throw new Error('a request that is no structure')
    const items = message.value.filter((item): item is Structure => item.tag === tag.BatchItem)
    const operations = items.map((item) => child(item, tag.Operation, 'Enumeration')?.value ?? 0)
    const action = this.actionFor(operations, new Set(items.flatMap(identifiersIn)))
    if (action?.kind === 'swallow') return
    if (action?.kind === 'cut') this.cut()
    else if (action?.kind === 'refuse') this.#adapter.write(encode(refusal(message, action.reason)))
    else if (action?.kind === 'delay') setTimeout(() => this.#server.write(frame), action.ms)
    else this.#server.write(frame)
  }
}

const identifiersIn = (item: Structure): string[] =>
  (child(item, tag.RequestPayload, 'Structure')?.value ?? []).flatMap((field) =>
    field.tag === tag.UniqueIdentifier && field.type === 'TextString' ? [field.value] : [],
  )

/** One failure without an operation, which means the whole message. */
function refusal(request: Structure, reason: number): Item {
  const header = child(request, tag.RequestHeader, 'Structure')
  const version = header && child(header, tag.ProtocolVersion, 'Structure')
  return structure(tag.ResponseMessage, [
    structure(tag.ResponseHeader, [
      ...(version === undefined ? [] : [version]),
      { tag: TIME_STAMP, type: 'DateTime', value: BigInt(Math.floor(Date.now() / 1000)) },
      integer(tag.BatchCount, 1),
    ]),
    structure(tag.BatchItem, [
      enumeration(tag.ResultStatus, resultStatus.OperationFailed),
      enumeration(tag.ResultReason, reason),
    ]),
  ])
}

const TIME_STAMP = 0x420092
