import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Identity } from '../../src/certificates.ts'
import { badRequest, Refusal, type Allowed, type Behaviour, type Json, type Key, type Rendered } from './behaviour.ts'

const TLS_13_SUITES = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'

export interface ProxyParts {
  readonly server: Identity
  /** PEM of the trusted roots, including a root that is trusted for another pool only. */
  readonly trusted: readonly string[]
  readonly allowed: Allowed
  readonly keys: ReadonlyMap<string, Key>
}

/**
 * A deliberately simple EKM proxy. It shares no code with the gateway. Its behaviour decides what it does right or
 * wrong.
 */
export class SimpleProxy {
  readonly #behaviour: Behaviour
  readonly #parts: ProxyParts
  readonly #server: Server
  readonly #allowed = new WeakMap<TLSSocket, boolean>()

  constructor(behaviour: Behaviour, parts: ProxyParts) {
    this.#behaviour = behaviour
    this.#parts = parts
    this.#server = createServer(
      {
        cert: parts.server.certificate,
        key: parts.server.key,
        ca: [...parts.trusted],
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
        ciphers: TLS_13_SUITES,
        ALPNProtocols: ['http/1.1'],
        sessionIdContext: randomUUID().slice(0, 32),
        noDelay: true,
        ...behaviour.tls,
      },
      (incoming, outgoing) => void this.#answer(incoming, outgoing),
    )
    this.#server.on('tlsClientError', () => undefined)
    if (behaviour.expectation) {
      const refusal = behaviour.expectation
      this.#server.on('checkContinue', (_incoming: IncomingMessage, outgoing: ServerResponse) => {
        this.#send(outgoing, behaviour.renderFailure(refusal))
      })
    }
    this.#server.on('clientError', (error, socket) => {
      const code = 'code' in error ? String(error.code) : ''
      // The client may also have gone away.
      if (!socket.writable || !code.startsWith('HPE_')) return void socket.destroy()
      if (behaviour.stopsAtMalformed) this.close()
      socket.end(behaviour.malformed(behaviour.renderFailure(badRequest())), () => socket.destroy())
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { renderFailure, renderSuccess } = this.#behaviour
    let rendered: Rendered
    try {
      const body = await this.#serve(incoming)
      if (body === 'hang up') return void incoming.socket.destroy()
      rendered = renderSuccess(body)
    } catch (error) {
      rendered = renderFailure(error instanceof Refusal ? error : new Refusal(500, 'InternalServerError'))
    }
    const close = this.#behaviour.closeAlways || !incoming.complete
    this.#send(outgoing, close ? { ...rendered, headers: { ...rendered.headers, connection: 'close' } } : rendered)
  }

  #send(outgoing: ServerResponse, { status, headers, body }: Rendered): void {
    outgoing.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body)
  }

  #isAllowed(socket: TLSSocket): boolean {
    const known = this.#allowed.get(socket) ?? this.#behaviour.isAllowed(socket, this.#parts.allowed)
    this.#allowed.set(socket, known)
    return known
  }

  async #serve(incoming: IncomingMessage): Promise<Json | 'hang up'> {
    const behaviour = this.#behaviour
    if (!this.#isAllowed(incoming.socket as TLSSocket)) {
      const refusal = behaviour.turnAway(incoming)
      if (refusal === 'hang up') return refusal
      if (refusal !== 'read the body first') throw refusal
      await this.#read(incoming)
      throw new Refusal(401, 'Unauthorized')
    }
    const early = await behaviour.before(incoming)
    if (early) throw early

    const [path = '', query = ''] = (incoming.url ?? '').split('?')
    const segments = behaviour.below(path)?.split('/')
    if (segments === undefined || segments.length > 2) throw behaviour.unknownPath()
    const operation =
      segments.length === 1 && segments[0] === 'info' ? 'info' : behaviour.operationOf(segments[1] ?? '')
    if (operation === undefined) throw behaviour.unknownPath()
    const wrongMethod = behaviour.methodRefusal(incoming.method ?? '')
    if (wrongMethod) throw wrongMethod
    const name = segments[0] ?? ''
    const illegal = behaviour.illegalKeyName(name)
    if (illegal) throw illegal
    if (!behaviour.versionIsFine(new URLSearchParams(query), operation)) throw badRequest()
    const wrongHeaders = behaviour.headersAreFine(incoming)
    if (wrongHeaders) throw wrongHeaders
    if (!behaviour.contentTypeIsFine(incoming.headers['content-type'] ?? '') && incoming.method === 'POST') {
      throw new Refusal(415, 'UnsupportedMediaType')
    }
    const body = incoming.method === 'POST' ? this.#parse(await this.#read(incoming)) : {}
    if (!behaviour.contextIsFine(body['request_context'], operation) && incoming.method === 'POST') throw badRequest()
    if (!behaviour.membersAreFine(body)) throw badRequest()
    if (operation === 'info') return behaviour.info()
    return this.#onKey(name, operation, body)
  }

  #onKey(name: string, operation: string, body: Json): Json {
    const behaviour = this.#behaviour
    const key = behaviour.findKey(this.#parts.keys, name)
    if (key === undefined) throw behaviour.unknownKey()
    const disabled = key.disabled && behaviour.disabledRefusal(operation)
    if (disabled) throw disabled
    if (operation === 'metadata') return behaviour.metadata(describe(key))

    const [given, value] = [behaviour.algOf(body), behaviour.valueOf(body)]
    if (typeof given !== 'string' || typeof value !== 'string') throw badRequest()
    const alg = behaviour.algorithm(given, key)
    const known = key.kty === 'oct' ? ['A256KW', 'A256KWP'] : ['RSA-OAEP', 'RSA-OAEP-256']
    if (!known.includes(alg)) throw behaviour.unknownAlgorithm()
    const bytes = behaviour.decode(value)
    if (bytes === undefined) throw badRequest()
    const work = { key, alg, bytes }
    const kek = behaviour.kekOf(key)
    if (operation === 'wrapkey') {
      if (!behaviour.takes(work)) throw behaviour.badLength(value, operation)
      return { value: behaviour.encode(behaviour.wrap(work, kek)) }
    }
    if (!behaviour.takesWrapped(work)) throw behaviour.badLength(value, operation)
    return { value: behaviour.encode(behaviour.unwrapped(this.#unwrap(work, kek), work)) }
  }

  #unwrap(work: Parameters<Behaviour['unwrap']>[0], kek: Buffer): Buffer {
    try {
      return this.#behaviour.unwrap(work, kek)
    } catch (error) {
      throw this.#behaviour.cannotUnwrap(error, work)
    }
  }

  #parse(bytes: Buffer): Json {
    try {
      return this.#behaviour.parse(bytes)
    } catch {
      throw this.#behaviour.unparsable()
    }
  }

  async #read(incoming: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of incoming) {
      length += (chunk as Buffer).length
      if (length > this.#behaviour.maxBodyBytes) throw new Refusal(413, 'PayloadTooLarge')
      chunks.push(chunk as Buffer)
    }
    return Buffer.concat(chunks)
  }
}

function describe(key: Key): Json {
  const key_ops = ['wrapKey', 'unwrapKey']
  if (key.kty === 'oct') return { key_type: 'oct', key_size: 256, key_ops }
  const { n, e } = key.publicKey.export({ format: 'jwk' })
  return { key_type: 'RSA', key_size: key.bytes * 8, key_ops, n, e }
}
