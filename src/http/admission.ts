import type { Pool } from '../ekm/pool.ts'
import type { Client } from '../tls/client.ts'
import type { ClientAuth } from '../tls/endpoint.ts'
import { refuse, type ProxyError } from './proxy-error.ts'

/** Who is let in, before it matters what they want. */
export class Admission {
  readonly #clientAuth: ClientAuth

  constructor(clientAuth: ClientAuth) {
    this.#clientAuth = clientAuth
  }

  /** Why a client gets nothing here at all; `undefined` for one with a valid certificate. */
  refusalOf(client: Client): ProxyError | undefined {
    if (this.#clientAuth === 'disabled') return undefined
    const { verified, refusal } = client
    if (verified !== undefined) return undefined
    return refuse('UNAUTHORIZED', { reason: 'CERTIFICATE_REFUSED', detail: refusal })
  }

  mayUse({ verified }: Client, pool: Pool): boolean {
    return this.#clientAuth === 'disabled' || (verified !== undefined && pool.clients.allows(verified))
  }
}
