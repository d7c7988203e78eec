import type { IncomingMessage, ServerResponse } from 'node:http'
import { AdapterError } from '../../adapters/contract/index.ts'
import { Call } from '../ekm/backend/call.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { AuditRecord } from '../telemetry/audit-record.ts'
import { cut, milliseconds, writeAudit, type Telemetry } from '../telemetry/audit.ts'
import { describeBug } from '../telemetry/bug.ts'
import type { Client } from '../tls/client.ts'
import { recordOf, toProxyError, type ProxyError } from './proxy-error.ts'

/** One request and its reply: its time, its client, and its audit record. */
export class Exchange {
  readonly call: Call
  readonly client: Client
  /** What is known so far. Routes add to it. */
  readonly record: Partial<AuditRecord> = {}
  readonly #telemetry: Telemetry
  readonly #incoming: IncomingMessage
  readonly #outgoing: ServerResponse
  #reply: string | undefined
  /** Names and values in turn, besides those of every reply. */
  #headers: readonly string[] = []

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
   * Records the `request_context` as far as `body` contains it, for refused requests too. Long texts are cut, not
   * refused.
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

  /** Makes the reply to a success. */
  succeed(json: string): void {
    this.record.status = 200
    this.record.code = 'OK'
    this.#reply = json
  }

  /** Makes the reply to a failure, for any thrown value. */
  fail(error: unknown): void {
    const { status, code, message, headers } = this.#noteFailure(toProxyError(error))
    if (status === 500) {
      this.#telemetry.log.error('internal_error', { ...describeBug(error), correlation_id: this.call.correlationId })
    }
    // The rest of an unread request must not be read as the next request of the connection.
    const unread = this.#incoming.complete ? undefined : { connection: 'close' }
    this.#headers = Object.entries({ ...headers, ...unread }).flat()
    this.#reply = JSON.stringify({ code, message })
  }

  #noteFailure(failure: ProxyError): ProxyError {
    Object.assign(this.record, recordOf(failure))
    return failure
  }

  /**
   * Ends the request's time, writes its audit record, and sends the reply. An answer that waits behind another one on
   * its connection is recorded only when it is sent.
   */
  end(): void {
    this.call.end()
    const { record, call } = this
    const status = (record.status ??= 500)
    record.code ??= 'InternalServerError'
    record.total_ms = milliseconds(performance.now() - call.start)
    if (call.backend !== undefined) record.backend = call.backend
    if (call.standby) record.standby = true
    if (call.backendMs !== undefined) record.backend_ms = milliseconds(call.backendMs)
    const { socket, destroyed } = this.#outgoing
    if (socket === null && !destroyed) this.#outgoing.once('close', () => this.#write(this.#outgoing.writableFinished))
    else this.#write(socket?.writable === true)
    if (this.#reply !== undefined) this.#send(status, this.#reply)
  }

  /** Head and body leave in one write. */
  #send(status: number, json: string): void {
    const length = String(Buffer.byteLength(json))
    const head = ['content-type', 'application/json', 'content-length', length, ...this.#headers]
    this.#outgoing.writeHead(status, head)
    this.#outgoing.end(json)
  }

  #write(isDelivered: boolean): void {
    if (!isDelivered) this.#noteFailure(toProxyError(goneAway()))
    writeAudit(this.#telemetry, this.record as AuditRecord, this.client.audit)
  }
}

/** The error of an answer that nobody receives. */
export const goneAway = () => new AdapterError('CANCELLED', 'the connection ended before the answer was sent')
