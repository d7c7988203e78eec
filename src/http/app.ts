import type { IncomingMessage, ServerResponse } from 'node:http'
import { Hono } from 'hono'
import { isKeyName } from '../../adapters/contract/index.ts'
import type { Deadlines } from '../base/deadlines.ts'
import type { Pool } from '../ekm/pool.ts'
import { RequestInvalid } from '../ekm/request-invalid.ts'
import { cut, type Telemetry } from '../telemetry/audit.ts'
import type { Client } from '../tls/client.ts'
import { apiVersion } from '../base/version.ts'
import type { Admission } from './admission.ts'
import { Exchange } from './exchange.ts'
import { refuse } from './proxy-error.ts'
import { assertWanted, parseJsonObject, readBody } from './request-body.ts'
import { assertSound, parseTarget, valuesOf } from './request-head.ts'
import { FamiliarTargets, RouteTable, type Destination } from './route-table.ts'
import { unreadResponse } from './unread.ts'
import { parseBody } from './wire.ts'

export interface AppOptions {
  readonly pools: readonly Pool[]
  readonly deadlines: Deadlines
  readonly maxBodyBytes: number
  readonly admission: Admission
  readonly clientOf: (socket: object) => Client
  readonly telemetry: Telemetry
}

/** What the server passes in Hono's `env`. */
interface NodeBindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

export interface AppEnv {
  readonly Bindings: NodeBindings
}

/**
 * The EKM Proxy API over every pool. Every reply is JSON, and every failure is a ProxyError, whatever the request is. It
 * reads and answers Node.js's own request; a `Request` and a `Response` would cost more than the wrap.
 */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const { clientOf, deadlines, telemetry } = options
  const table = new RouteTable(options.pools)
  const familiar = new FamiliarTargets()
  // Hono's routers decode paths and treat * as a wildcard. Here a path has exactly one spelling.
  const app = new Hono<AppEnv>({ getPath: () => '/' })
  app.all('/', async ({ env }) => {
    const { incoming, outgoing } = env
    const target = incoming.url ?? ''
    const exchange = new Exchange(incoming, outgoing, clientOf(incoming.socket), deadlines, telemetry)
    try {
      assertAdmitted(exchange, target, table, options)
      assertSound(incoming)
      const known = familiar.get(target)
      const destination = known ?? find(target, exchange, table, options)
      assertMayUse(destination, exchange, options)
      if (incoming.method !== 'POST') throw refuse('METHOD_NOT_ALLOWED')
      assertKeyName(destination, exchange)
      if (known === undefined) {
        const { query } = parseTarget(target)
        assertApiVersion(valuesOf(query, 'api-version'))
        // The query that Azure sends. With other queries, one path could fill the table.
        if (query === plainQuery) familiar.add(target, destination)
      }
      assertWanted(incoming, outgoing, options.maxBodyBytes)
      const json = parseJsonObject(await readBody(incoming, options.maxBodyBytes, exchange.call))
      exchange.noteContext(json)
      const { pool, route, keyName } = destination
      exchange.succeed(await route.answer(pool, keyName, parseBody(route.body, json), exchange))
    } catch (error) {
      exchange.fail(error)
    } finally {
      exchange.end()
    }
    return unreadResponse
  })
  // The listener answers an error at this point.
  app.onError((error) => {
    throw error
  })
  return app
}

/** Refuses a client without a valid certificate. The record names the pool that was asked for, if it exists. */
function assertAdmitted(
  { client, record }: Exchange,
  target: string,
  table: RouteTable,
  { admission }: AppOptions,
): void {
  const refusal = admission.refusalOf(client)
  if (refusal === undefined) return
  const destination = table.find(beforeQuery(target))
  if (destination !== undefined) noteDestination(destination, record)
  throw refusal
}

function noteDestination({ pool, route }: Destination, record: Exchange['record']): void {
  record.pool = pool.name
  record.operation = route.operation
}

/** A client that no pool allows learns nothing about which paths exist. */
function find(target: string, exchange: Exchange, table: RouteTable, { pools, admission }: AppOptions): Destination {
  const { client, record } = exchange
  const destination = table.find(parseTarget(target).path)
  if (destination === undefined) {
    record.path = cut(beforeQuery(target))
    if (pools.some((pool) => admission.mayUse(client, pool))) throw refuse('ROUTE_UNKNOWN')
    throw refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' })
  }
  return destination
}

function assertMayUse(destination: Destination, { client, record }: Exchange, { admission }: AppOptions): void {
  noteDestination(destination, record)
  if (!admission.mayUse(client, destination.pool)) throw admission.refusalFrom(client, destination.pool)
}

function assertKeyName({ route, keyName }: Destination, { record }: Exchange): void {
  if (!route.takesKey) return
  if (!isKeyName(keyName)) throw refuse('KEY_NAME_INVALID')
  record.key = keyName
}

/** For the log. A query may contain anything, and does not select a route. */
const beforeQuery = (target: string): string => target.split('?', 1)[0] ?? ''

const plainQuery = `api-version=${apiVersion}`

function assertApiVersion(versions: readonly string[]): void {
  if (versions.length === 1 && versions[0] === apiVersion) return
  const problem = versions.length === 0 ? 'is required' : versions.length > 1 ? 'is repeated' : 'is not supported'
  throw new RequestInvalid(`the query parameter api-version ${problem}: use api-version=${apiVersion}`)
}
