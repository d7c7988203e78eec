import type { IncomingMessage, ServerResponse } from 'node:http'
import { AdapterError } from '../../adapters/contract/index.ts'
import { Call } from '../ekm/backend/call.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { AuditRecord } from '../telemetry/audit-record.ts'
import { cut, milliseconds, writeAudit, type Telemetry } from '../telemetry/audit.ts'
import { describeBug } from '../telemetry/log.ts'
import type { Client } from '../tls/client.ts'
import { recordOf, toProxyError, type ProxyError } from './proxy-error.ts'

/** One request and its reply: its time, its client, and what the audit record will say of it. */
export class Exchange {
  readonly call: Call
  readonly client: Client
  /** What is known so far; routes add to it. */
  readonly record: Partial<AuditRecord> = {}
  readonly #telemetry: Telemetry
  readonly #incoming: IncomingMessage
  readonly #outgoing: ServerResponse

  constructor(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    client: Client,
    deadlines: Deadlines,
    telemetry: Telemetry,
  ) {
    this.call = new Call(deadlines)
    this.client = client
    this.#telemetry = telemetry
    this.#incoming = incoming
    this.#outgoing = outgoing
    outgoing.on('close', () => {
      if (!outgoing.writableFinished) this.call.stop(goneAway())
    })
  }

  /**
   * Notes what Azure says of the request, as far as `body` says it: a refused request's record has it too. Its texts are
   * cut, never refused, however long they are.
   */
  noteContext(body: object): void {
    const context: unknown = 'request_context' in body ? body.request_context : undefined
    if (typeof context !== 'object' || context === null) return
    const { request_id, correlation_id, pool_name } = context as Record<string, unknown>
    if (typeof request_id === 'string') this.record.request_id = cut(request_id)
    if (typeof correlation_id === 'string') {
      this.record.correlation_id = cut(correlation_id)
      this.call.correlationId = this.record.correlation_id
    }
    if (typeof pool_name === 'string') this.record.pool_name = cut(pool_name)
  }

  /** The reply to a success. */
  succeed(json: string): Response {
    this.record.status = 200
    this.record.code = 'OK'
    return new Response(json, { status: 200, headers: { 'content-type': 'application/json' } })
  }

  /** The reply to a failure, whatever was thrown. */
  fail(error: unknown): Response {
    const { status, code, message, headers } = this.#noteFailure(toProxyError(error))
    if (status === 500) {
      this.#telemetry.log.error('internal_error', { ...describeBug(error), correlation_id: this.call.correlationId })
    }
    // A request that was not read to its end leaves nothing on the connection that could be read as the next one.
    const unread = this.#incoming.complete ? undefined : { connection: 'close' }
    return new Response(JSON.stringify({ code, message }), {
      status,
      headers: { 'content-type': 'application/json', ...headers, ...unread },
    })
  }

  #noteFailure(failure: ProxyError): ProxyError {
    Object.assign(this.record, recordOf(failure))
    return failure
  }

  /**
   * Ends the request's time and writes its one audit record. An answer that waits behind another of its connection is not
   * told as one before it is sent.
   */
  end(): void {
    this.call.end()
    const { record, call } = this
    record.status ??= 500
    record.code ??= 'InternalServerError'
    record.total_ms = milliseconds(performance.now() - call.start)
    if (call.backend !== undefined) record.backend = call.backend
    if (call.standby) record.standby = true
    if (call.backendMs !== undefined) record.backend_ms = milliseconds(call.backendMs)
    const { socket, destroyed } = this.#outgoing
    if (socket === null && !destroyed) this.#outgoing.once('close', () => this.#write(this.#outgoing.writableFinished))
    else this.#write(socket?.writable === true)
  }

  #write(isDelivered: boolean): void {
    if (!isDelivered) this.#noteFailure(toProxyError(goneAway()))
    writeAudit(this.#telemetry, this.record as AuditRecord, this.client.audit)
  }
}

/** For an answer that nobody gets. */
export const goneAway = () => new AdapterError('CANCELLED', 'the connection ended before the answer was sent')
