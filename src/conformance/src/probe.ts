import { randomBytes } from 'node:crypto'
import type { Agent } from 'node:https'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { API_QUERY, base64url, isCall, requestContext } from './api.ts'
import { exchange, exchangeRaw, openSocket, tlsOptions, type Answer, type Wanted } from './client.ts'
import { hideValues, spellings, type Masks } from './masks.ts'
import type { LoadPlan, Measurements } from './measurements.ts'
import { CouldNotRun, NotApplicable, Unmet, type Step } from './outcome.ts'
import type { ClientIdentity, Target } from './target.ts'

const CALLERS = 8
const THROTTLED = 429
const PATIENCE = 5
const LONGEST_WAIT_MS = 2000

export interface Reply extends Answer {
  /** The body, if it is a JSON object. */
  readonly json: Readonly<Record<string, unknown>> | undefined
  /** The request that it answers, for the report. */
  readonly sent: string
}

/** Every reply of a run, for the cases that judge all of them afterwards. */
export interface Seen extends Reply {
  readonly method: string
  /** Whether it answers a call of the API, even a wrong one. The API promises nothing for other requests. */
  readonly ofApi: boolean
  /** Encodings of the `value` that was sent. */
  readonly secrets: readonly string[]
}

/** A failure with the right status, and the codes that Microsoft's pages give for it. */
export interface Named {
  readonly reply: Reply
  readonly codes: readonly string[]
}

export interface ProbeParts {
  readonly target: Target
  readonly agent: Agent
  readonly masks: Masks
  readonly seen: Seen[]
  readonly named: Named[]
  readonly measurements: Measurements
  readonly signal: AbortSignal
  readonly load: LoadPlan | undefined
  /** Shows the progress of a long case on a terminal. */
  readonly progress: (text: string) => void
  /** The keys of this run of the case. */
  readonly aesKey?: string
  readonly rsaKey?: string
}

/** What a case works with: the proxy as a client sees it, and a record of the checks. */
export class Probe {
  readonly target: Target
  readonly seen: readonly Seen[]
  readonly named: readonly Named[]
  readonly measurements: Measurements
  readonly load: LoadPlan | undefined
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
  readonly #parts: ProbeParts
  /** A function, because masking is expensive and only the reported step is written. */
  #last: (() => Step) | undefined
  #checks = 0

  constructor(parts: ProbeParts) {
    this.#parts = parts
    this.target = parts.target
    this.seen = parts.seen
    this.named = parts.named
    this.measurements = parts.measurements
    this.load = parts.load
    this.progress = parts.progress
    this.signal = parts.signal
  }

  get last(): Step | undefined {
    return this.#last?.()
  }

  get checks(): number {
    return this.#checks
  }

  get aesKey(): string {
    return this.#parts.aesKey ?? missing('AES')
  }

  get rsaKey(): string {
    return this.#parts.rsaKey ?? missing('RSA')
  }

  /** A throwaway data key, which the report never shows. */
  dataKey(bytes: number): Buffer {
    const key = randomBytes(bytes)
    this.hide(key)
    return key
  }

  hide(secret: Uint8Array): void {
    this.#parts.masks.add(secret)
  }

  path(operation: string, query = API_QUERY): string {
    const { prefix } = this.target
    return `${prefix === '' ? '' : `/${prefix}`}/${operation}${query === '' ? '' : `?${query}`}`
  }

  /** A call of the API as Managed HSM makes it. `members` are added to a correct `request_context`. */
  call(operation: string, members: object = {}, note?: string): Promise<Reply> {
    return this.send({ path: this.path(operation), body: JSON.stringify({ ...requestContext(), ...members }) }, note)
  }

  wrap = (key: string, alg: string, value: Uint8Array | string, note?: string): Promise<Reply> =>
    this.call(`${key}/wrapkey`, { alg, value: spell(value) }, note ?? describeValue(alg, value))

  unwrap = (key: string, alg: string, value: Uint8Array | string, note?: string): Promise<Reply> =>
    this.call(`${key}/unwrapkey`, { alg, value: spell(value) }, note ?? describeValue(alg, value))

  /** @param note what is special about the request, for the report; without it the masked body is shown */
  async send(wanted: Wanted, note?: string): Promise<Reply> {
    const sent = this.#describe(wanted, note)
    for (let attempt = 1; ; attempt += 1) {
      const answer = await exchange(this.target, this.#parts.agent, { signal: this.signal, ...wanted }).catch(
        (error: unknown) => this.#fail(sent, 'an answer', reasonOf(error)),
      )
      const reply = this.#note(answer, sent, wanted)
      if (reply.status !== THROTTLED || attempt === PATIENCE) return reply
      const seconds = Number(reply.headers['retry-after'] ?? 1)
      const wait = Number.isFinite(seconds) ? Math.min(seconds * 1000, LONGEST_WAIT_MS) : LONGEST_WAIT_MS
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }

  /** Opens a TLS connection as the given client or another. Rejects if the handshake fails. */
  connect(options: ConnectionOptions = {}, identity?: ClientIdentity | null): Promise<TLSSocket> {
    return openSocket({ ...tlsOptions(this.target, identity), ...options }, this.signal)
  }

  /** Sends bytes as they are on a new connection. Undefined if the connection ended without an answer. */
  async raw(
    bytes: string | Buffer,
    sent: string,
    options: ConnectionOptions = {},
    identity?: ClientIdentity | null,
    patienceMs?: number,
  ): Promise<Reply | undefined> {
    const socket = await this.connect(options, identity).catch(() => undefined)
    return socket && this.rawOn(socket, bytes, sent, patienceMs)
  }

  /** The same on an existing connection, which is closed afterwards. */
  async rawOn(
    socket: TLSSocket,
    bytes: string | Buffer,
    sent: string,
    patienceMs?: number,
  ): Promise<Reply | undefined> {
    const answer = await exchangeRaw(socket, bytes, patienceMs)
    const [, method = '', path = ''] = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/.exec(bytes.toString()) ?? []
    return answer && this.#note(answer, sent, { method, path })
  }

  /** The text of an `info` call, for {@link raw}. */
  infoRequest(headers = 'Content-Type: application/json\r\n', body = JSON.stringify(requestContext())): string {
    return (
      `POST ${this.path('info')} HTTP/1.1\r\nHost: ${this.target.host}\r\n${headers}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
    )
  }

  /** Makes one check. If it fails, the report shows what came instead. */
  check(step: Step, met: boolean): void {
    this.#check(() => step, met)
  }

  checkReply(reply: Reply, expected: string, met: boolean): void {
    const { show } = this.#parts.masks
    this.#check(() => ({ sent: show(reply.sent), expected, came: this.describeReply(reply) }), met)
  }

  #check(step: () => Step, met: boolean): void {
    this.#checks += 1
    this.#last = step
    if (!met) throw new Unmet(step())
  }

  served(reply: Reply): void {
    this.checkReply(reply, '200', reply.status === 200)
  }

  /**
   * The reply must be a refusal with one of these statuses. The reference leaves the code to the proxy, so the code is
   * only recorded for the case that judges all codes.
   */
  refused(reply: Reply, statuses: number | readonly number[], codes: string | readonly string[] = []): void {
    const status = [statuses].flat()
    this.checkReply(reply, status.join(' or '), status.includes(reply.status))
    if (codes.length > 0) this.#parts.named.push({ reply, codes: [codes].flat() })
  }

  /** The reply must be a failure that blames the client. */
  turnedDown(reply: Reply): void {
    this.checkReply(reply, 'a 4xx status', reply.status >= 400 && reply.status < 500)
  }

  /** The bytes of `value` in a reply that must be a success. Another case judges their encoding. */
  value(reply: Reply): Buffer {
    this.served(reply)
    const value = reply.json?.['value']
    this.checkReply(reply, 'a member value', typeof value === 'string')
    const bytes = Buffer.from(String(value), 'base64url')
    this.hide(bytes)
    return bytes
  }

  /** Does the same for each item, several at a time. */
  async each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const queue = items.values()
    const caller = async () => {
      for (const item of queue) await work(item)
    }
    await Promise.all(Array.from({ length: CALLERS }, caller))
  }

  describeReply({ status, text, headers }: Reply): string {
    return text === '' ? `${status} without a body` : `${status} ${this.#parts.masks.show(text)}${typeOf(headers)}`
  }

  #fail(sent: string, expected: string, came: string): never {
    this.check({ sent, expected, came }, false)
    throw new Error('unreachable')
  }

  #describe({ method = 'POST', path, body }: Wanted, note: string | undefined): string {
    const shown = note ?? (body === undefined ? '' : hideValues(body.toString()))
    return `${method} ${path.length > 120 ? `${path.slice(0, 120)}…` : path}${shown === '' ? '' : ` ${shown}`}`
  }

  #note(answer: Answer, sent: string, { method = 'POST', path, body }: Wanted): Reply {
    const reply: Reply = { ...answer, json: parseObject(answer.text), sent }
    // A body that is not a string was made to be malformed, and has no value.
    const value = typeof body === 'string' ? /"value":"([^"]*)"/.exec(body)?.[1] : undefined
    const sentValue = Buffer.from(value ?? '', 'base64url')
    // Whatever a case did to a wrapped value, a proxy may repeat it in an error.
    this.hide(sentValue)
    const secrets = spellings(sentValue)
    this.#parts.seen.push({ ...reply, method, secrets, ofApi: method === 'POST' && this.#isOperation(path) })
    return reply
  }

  #isOperation(path: string): boolean {
    const [route = ''] = path.split('?')
    const base = this.path('', '')
    return route.startsWith(base) && isCall(route.slice(base.length))
  }
}

const spell = (value: Uint8Array | string) => (typeof value === 'string' ? value : base64url(value))

const describeValue = (alg: string, value: Uint8Array | string) =>
  `alg ${alg}, value of ${value.length} ${typeof value === 'string' ? 'characters' : 'bytes'}`

const typeOf = (headers: Answer['headers']): string => {
  const type = headers['content-type'] ?? 'no content type'
  return type === 'application/json' ? '' : ` (${type})`
}

export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // The body is not JSON, so there is no object.
  }
  return undefined
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!('code' in error)) return error.message
  const code = String(error.code)
  // OpenSSL's message adds only an address and a line of its source to the code.
  return code.startsWith('ERR_SSL_') ? code : `${code}: ${error.message}`
}

function missing(kind: string): never {
  throw new CouldNotRun(`the case uses an ${kind} key and does not say so in its needs`)
}

export const notApplicable = (reason: string): never => {
  throw new NotApplicable(reason)
}
