import { randomBytes, X509Certificate, type KeyObject } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { unwrapAes, unwrapRsa, wrapAes, wrapRsa, type AesMode, type RsaAlgorithm } from './crypto.ts'

export type Key = (
  | { readonly kty: 'oct'; readonly kek: Buffer }
  | { readonly kty: 'RSA'; readonly privateKey: KeyObject; readonly publicKey: KeyObject; readonly bytes: number }
) & { readonly disabled?: true }

export type Json = Readonly<Record<string, unknown>>

/** A failure as the proxy answers it. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly headers: OutgoingHttpHeaders

  constructor(status: number, code: string, message = 'refused', headers: OutgoingHttpHeaders = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export const badRequest = (message = 'refused') => new Refusal(400, 'BadRequest', message)

/** The one allowed client: this name from this root. The proxy also trusts the other root, for another pool. */
export interface Allowed {
  readonly commonName: string
  readonly root: X509Certificate
}

/** The input of an operation after all other checks have passed. */
export interface Work {
  readonly key: Key
  readonly alg: string
  readonly bytes: Buffer
}

export interface Rendered {
  readonly status: number
  readonly headers: OutgoingHttpHeaders
  readonly body: string
}

const PREFIX = '/azureekm/contoso'

/** Every decision of an EKM proxy as a function of its own, so that a wrong proxy can replace one. */
export interface Behaviour {
  readonly tls: ServerOptions
  readonly isAllowed: (socket: TLSSocket, allowed: Allowed) => boolean
  /** Called before the body is read, unless the proxy waits for the body. */
  readonly turnAway: (incoming: IncomingMessage) => Refusal | 'hang up' | 'read the body first'
  readonly closeAlways: boolean
  /** The path below the prefix; `undefined` outside it. */
  readonly below: (path: string) => string | undefined
  readonly unknownPath: () => Refusal
  readonly operationOf: (name: string) => string | undefined
  readonly methodRefusal: (method: string) => Refusal | undefined
  readonly illegalKeyName: (name: string) => Refusal | undefined
  readonly findKey: (keys: ReadonlyMap<string, Key>, name: string) => Key | undefined
  readonly unknownKey: () => Refusal
  readonly versionIsFine: (query: URLSearchParams, operation: string) => boolean
  readonly contentTypeIsFine: (type: string) => boolean
  readonly headersAreFine: (incoming: IncomingMessage) => Refusal | undefined
  readonly maxBodyBytes: number
  readonly parse: (bytes: Buffer) => Json
  readonly unparsable: () => Refusal
  readonly contextIsFine: (context: unknown, operation: string) => boolean
  readonly membersAreFine: (body: Json) => boolean
  readonly algOf: (body: Json) => unknown
  readonly valueOf: (body: Json) => unknown
  readonly decode: (text: string) => Buffer | undefined
  readonly encode: (bytes: Buffer) => string
  readonly disabledRefusal: (operation: string) => Refusal | undefined
  readonly badLength: (value: string, operation: string) => Refusal
  readonly cannotUnwrap: (error: unknown, work: Work) => Refusal
  readonly unknownAlgorithm: () => Refusal
  readonly algorithm: (name: string, key: Key) => string
  readonly takes: (work: Work) => boolean
  readonly takesWrapped: (work: Work) => boolean
  readonly kekOf: (key: Key) => Buffer
  readonly wrap: (work: Work, kek: Buffer) => Buffer
  readonly unwrap: (work: Work, kek: Buffer) => Buffer
  readonly unwrapped: (bytes: Buffer, work: Work) => Buffer
  readonly info: () => Json
  readonly metadata: (reply: Json) => Json
  /** Called before an operation is answered. */
  readonly before: (incoming: IncomingMessage) => Promise<Refusal | undefined>
  readonly renderSuccess: (body: Json) => Rendered
  readonly renderFailure: (refusal: Refusal) => Rendered
  /** The bytes sent in reply to input that is not HTTP. An empty string sends nothing. */
  readonly malformed: (refusal: Rendered) => string
  readonly stopsAtMalformed: boolean
  /** The answer to `Expect: 100-continue`; `undefined` sends 100. */
  readonly expectation: Refusal | undefined
}

/** A proxy that keeps every rule. */
export const right: Behaviour = {
  tls: {},
  isAllowed: (socket, { commonName, root }) => {
    const { raw, subject } = socket.getPeerCertificate() as { raw?: Buffer; subject?: { CN?: string } }
    if (raw === undefined || !socket.authorized || subject?.CN !== commonName) return false
    return new X509Certificate(raw).verify(root.publicKey)
  },
  turnAway: () => new Refusal(401, 'Unauthorized', 'refused', { connection: 'close' }),
  closeAlways: false,
  below: (path: string): string | undefined =>
    path.startsWith(`${PREFIX}/`) ? path.slice(PREFIX.length + 1) : undefined,
  unknownPath: () => new Refusal(404, 'NotFound'),
  operationOf: (name: string): string | undefined =>
    ['metadata', 'wrapkey', 'unwrapkey'].includes(name) ? name : undefined,
  methodRefusal: (method: string): Refusal | undefined =>
    method === 'POST' ? undefined : new Refusal(405, 'MethodNotAllowed', 'refused', { allow: 'POST' }),
  illegalKeyName: (name: string): Refusal | undefined => (/^[A-Za-z0-9-]{1,64}$/.test(name) ? undefined : badRequest()),
  findKey: (keys: ReadonlyMap<string, Key>, name: string): Key | undefined => keys.get(name),
  unknownKey: () => new Refusal(404, 'KeyNotFound'),
  versionIsFine: (query: URLSearchParams): boolean => {
    const versions = query.getAll('api-version')
    return versions.length === 1 && versions[0] === '0.1-preview'
  },
  contentTypeIsFine: (type: string): boolean => /^application\/json\s*(?:;|$)/i.test(type),
  headersAreFine: () => undefined,
  maxBodyBytes: 65_536,
  parse: (bytes: Buffer): Json => {
    const body: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Json
    throw badRequest()
  },
  unparsable: (): Refusal => badRequest(),
  contextIsFine: (context: unknown): boolean => {
    if (typeof context !== 'object' || context === null || Array.isArray(context)) return false
    const { request_id = '', correlation_id, pool_name } = context as Json
    return [request_id, correlation_id, pool_name].every((member) => typeof member === 'string')
  },
  membersAreFine: () => true,
  algOf: (body: Json): unknown => body['alg'],
  valueOf: (body: Json): unknown => body['value'],
  decode: (text: string): Buffer | undefined => {
    const bytes = Buffer.from(text, 'base64url')
    return bytes.toString('base64url') === text ? bytes : undefined
  },
  encode: (bytes: Buffer): string => bytes.toString('base64url'),
  disabledRefusal: () => new Refusal(403, 'KeyDisabled'),
  badLength: () => badRequest(),
  cannotUnwrap: () => badRequest('value cannot be unwrapped'),
  unknownAlgorithm: (): Refusal => badRequest(),
  algorithm: (name) => name,
  takes: ({ key, alg, bytes: { length } }: Work): boolean => {
    switch (alg) {
      case 'A256KW':
        return length >= 16 && length % 8 === 0
      case 'A256KWP':
        return length >= 1
      default:
        return key.kty === 'RSA' && length >= 1 && length <= key.bytes - (alg === 'RSA-OAEP' ? 42 : 66)
    }
  },
  takesWrapped: ({ key, alg, bytes: { length } }: Work): boolean =>
    key.kty === 'RSA' ? length === key.bytes : length % 8 === 0 && length >= (alg === 'A256KW' ? 24 : 16),
  kekOf: (key: Key): Buffer => (key.kty === 'oct' ? key.kek : randomBytes(32)),
  wrap: ({ key, alg, bytes }: Work, kek: Buffer): Buffer =>
    key.kty === 'oct' ? wrapAes(kek, alg as AesMode, bytes) : wrapRsa(key.publicKey, alg as RsaAlgorithm, bytes),
  unwrap: ({ key, alg, bytes }: Work, kek: Buffer): Buffer =>
    key.kty === 'oct' ? unwrapAes(kek, alg as AesMode, bytes) : unwrapRsa(key.privateKey, alg as RsaAlgorithm, bytes),
  unwrapped: (bytes) => bytes,
  info: (): Json => ({
    api_version: '0.1-preview',
    proxy_vendor: 'test',
    proxy_name: 'a deliberately simple proxy 1.0',
    ekm_vendor: 'test',
    ekm_product: 'memory 1.0',
  }),
  metadata: (reply: Json): Json => reply,
  before: async () => undefined,
  renderSuccess: (body: Json): Rendered => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  }),
  renderFailure: ({ status, code, message, headers }: Refusal): Rendered => ({
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ code, message }),
  }),
  malformed: (refusal: Rendered): string =>
    `HTTP/1.1 ${refusal.status} X\r\nContent-Type: application/json\r\nContent-Length: ${refusal.body.length}\r\nConnection: close\r\n\r\n${refusal.body}`,
  stopsAtMalformed: false,
  expectation: undefined,
}
