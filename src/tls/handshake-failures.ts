import type { TLSSocket } from 'node:tls'
import { systemCode } from '../../adapters/contract/index.ts'
import { writeHandshakeFailure } from '../telemetry/audit.ts'
import type { Log } from '../telemetry/log.ts'
import type { ClientAuth } from './endpoint.ts'
import type { Arrival } from './stranger.ts'

/** OpenSSL's code for data that is not TLS, such as a PROXY header. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

/** Why a connection failed: the gate's reason, OpenSSL's or the gateway's own. */
export interface Failure {
  readonly reason: string
  readonly detail?: string
}

export interface HandshakeFailureEvents {
  /** @param reason as in {@link HandshakeFailure} */
  handshakeFailed(reason: string): void
  /** @param reason a {@link ClientRefusal}, or OpenSSL's code if OpenSSL refused the client's certificate */
  clientRefused(reason: string): void
}

export interface HandshakeFailuresOptions {
  readonly clientAuth: ClientAuth
  readonly log: Log
  readonly events?: HandshakeFailureEvents | undefined
}

/** Reports handshakes that failed, to the log and the metrics. */
export class HandshakeFailures {
  readonly #options: HandshakeFailuresOptions
  readonly #onNoTls: () => void

  /** @param onNoTls called when a connection has sent something other than TLS */
  constructor(options: HandshakeFailuresOptions, onNoTls: () => void) {
    this.#options = options
    this.#onNoTls = onNoTls
  }

  /** Reports a handshake that ended with `error`. */
  note(error: Error, socket: TLSSocket, { isSilent, shedReason, address }: Arrival): void {
    // A connection that sends nothing is a port probe and is not logged. Shed connections are summarised.
    if (isSilent || (shedReason !== undefined && shedReason !== 'handshake_timeout')) return
    if (shedReason !== undefined) return this.tell({ reason: 'ERR_TLS_HANDSHAKE_TIMEOUT' }, address)
    const { clientAuth, events } = this.#options
    // Node.js closes a connection that OpenSSL did not authorize, and then reports only the close.
    const refusal: unknown = clientAuth === 'handshake' ? socket.authorizationError : undefined
    const reason = typeof refusal === 'string' ? refusal : systemCode(error)
    if (reason === NO_TLS) this.#onNoTls()
    this.tell({ reason }, address)
    if (typeof refusal === 'string') events?.clientRefused(refusal)
  }

  /** Reports a client that was refused after its handshake. */
  refused(reason: string, address: string): void {
    this.tell({ reason }, address)
    this.#options.events?.clientRefused(reason)
  }

  tell({ reason, detail }: Failure, address: string): void {
    const more = detail === undefined ? {} : { detail }
    writeHandshakeFailure(this.#options.log, { reason, ...more, remote_address: address })
    this.#options.events?.handshakeFailed(reason)
  }
}
