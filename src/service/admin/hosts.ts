import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/** Why a request is not answered. */
export interface HostRefusal {
  readonly status: 400 | 421
  readonly text: string
}

/**
 * Checks the Host header of requests to the admin port. A web page's owner can let a name of their own point to this
 * port, and would then be allowed to read what the browser gets from it (DNS rebinding). Such a request has that name
 * in its Host header; an IP address cannot be faked like that. A request without a Host header does not come from a
 * browser; HAProxy's checks have none.
 */
export class Hosts {
  readonly #names: ReadonlySet<string>

  constructor(names: readonly string[]) {
    this.#names = new Set(['localhost', ...names.map(nameIn)])
  }

  refusalOf({ headers, headersDistinct }: IncomingMessage): HostRefusal | undefined {
    if ((headersDistinct['host']?.length ?? 0) > 1)
      return { status: 400, text: 'the request must have exactly one Host header\n' }
    const { host } = headers
    if (host === undefined) return undefined
    const name = nameIn(host)
    if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || this.#names.has(name)) return undefined
    return { status: 421, text: `the Host header must be ${this.#allowed}; add names to the setting admin.hosts\n` }
  }

  get #allowed(): string {
    const all = ['an IP address', ...this.#names]
    return `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`
  }
}

/** The host without its port and without the final dot of the DNS. */
const nameIn = (host: string): string => host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
