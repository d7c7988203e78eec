import type { Pool } from '../ekm/pool.ts'
import { info } from './info.ts'
import { metadata } from './metadata.ts'
import type { Route } from './route.ts'
import { unwrapkey } from './unwrapkey.ts'
import { wrapkey } from './wrapkey.ts'

const routes: ReadonlyMap<string, Route> = new Map(
  ([info, metadata, wrapkey, unwrapkey] as readonly Route[]).map((route) => [route.operation, route]),
)

export const operations: readonly string[] = [...routes.keys()]

/** The pool and the operation of a path. */
export interface Destination {
  readonly pool: Pool
  readonly route: Route
  /** Not validated yet. Empty if the operation takes no key. */
  readonly keyName: string
}

/**
 * Finds the pool and operation of a path, `/{prefix}/{operation}` or `/{prefix}/{key name}/{operation}`. A path is
 * compared as it was sent, without percent-decoding, so each has exactly one spelling.
 */
export class RouteTable {
  readonly #pools: ReadonlyMap<string, Pool>

  constructor(pools: readonly Pool[]) {
    this.#pools = new Map(pools.map((pool) => [pool.pathPrefix === '' ? '' : `/${pool.pathPrefix}`, pool]))
  }

  find(path: string): Destination | undefined {
    const end = path.lastIndexOf('/')
    const route = routes.get(path.slice(end + 1))
    if (route === undefined) return undefined
    const prefixEnd = route.takesKey && end > 0 ? path.lastIndexOf('/', end - 1) : end
    const keyName = path.slice(prefixEnd + 1, end)
    const pool = this.#pools.get(path.slice(0, prefixEnd))
    if (pool === undefined || route.takesKey !== (keyName !== '')) return undefined
    return { pool, route, keyName }
  }
}

const MAX_FAMILIAR = 1000

/**
 * Remembers the destinations of recent targets, which were validated completely. Azure sends the same few targets again
 * and again.
 */
export class FamiliarTargets {
  readonly #destinations = new Map<string, Destination>()

  get(target: string): Destination | undefined {
    return this.#destinations.get(target)
  }

  add(target: string, destination: Destination): void {
    // Bounded, because callers choose key names.
    if (this.#destinations.size === MAX_FAMILIAR) this.#destinations.clear()
    this.#destinations.set(target, destination)
  }
}
