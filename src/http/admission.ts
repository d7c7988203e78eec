import type { Pool } from '../ekm/pool.ts'
import type { Client } from '../tls/client.ts'
import type { ClientAuth } from '../tls/endpoint.ts'
import { refuse, type ProxyError } from './proxy-error.ts'

/** Decides who is let in, whatever the client asks for. */
export class Admission {
  readonly #clientAuth: ClientAuth

  constructor(clientAuth: ClientAuth) {
    this.#clientAuth = clientAuth
  }

  /** Why the client is refused everything here. Undefined for a client with a valid certificate. */
  refusalOf(client: Client): ProxyError | undefined {
    if (this.#clientAuth === 'disabled') return undefined
    const { verified, refusal } = client
    if (verified !== undefined) return undefined
    return refuse('UNAUTHORIZED', { reason: 'CERTIFICATE_REFUSED', detail: refusal })
  }

  /** Why a client with a valid certificate may not use the pool. */
  refusalFrom({ verified }: Client, pool: Pool): ProxyError {
    const detail = verified && pool.clients.refusalOf(verified)
    return refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED', ...(detail !== undefined && { detail }) })
  }

  mayUse({ verified }: Client, pool: Pool): boolean {
    return this.#clientAuth === 'disabled' || (verified !== undefined && pool.clients.allows(verified))
  }
}
