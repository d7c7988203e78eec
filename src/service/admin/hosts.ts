import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/** Why a request is not answered. */
export interface HostRefusal {
  readonly status: 400 | 421
  readonly text: string
}

/**
 * Whom a request may take the admin port for. A web page can have a name of its own lead to this port, and would then be
 * let read what the browser gets from it (DNS rebinding): its requests have that name in their Host header. An IP address
 * cannot be had that way. Without a Host header a request is no browser's; HAProxy's checks have none.
 */
export class Hosts {
  readonly #names: ReadonlySet<string>

  constructor(names: readonly string[]) {
    this.#names = new Set(['localhost', ...names.map(nameIn)])
  }

  refusalOf({ headers, headersDistinct }: IncomingMessage): HostRefusal | undefined {
    if ((headersDistinct['host']?.length ?? 0) > 1) return { status: 400, text: 'one Host header is enough\n' }
    const { host } = headers
    if (host === undefined) return undefined
    const name = nameIn(host)
    if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || this.#names.has(name)) return undefined
    return { status: 421, text: `the Host header must be ${this.#allowed}: admin.hosts adds names\n` }
  }

  get #allowed(): string {
    const all = ['an IP address', ...this.#names]
    return `${all.slice(0, -1).join(', ')} or ${all.at(-1)}`
  }
}

/** Without the port and the dot of the DNS's root. */
const nameIn = (host: string): string => host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
