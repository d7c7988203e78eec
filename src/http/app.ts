import type { IncomingMessage, ServerResponse } from 'node:http'
import { Hono } from 'hono'
import { isKeyName } from '../../adapters/contract/index.ts'
import type { Deadlines } from '../ekm/deadlines.ts'
import type { Pool } from '../ekm/pool.ts'
import { RequestInvalid } from '../ekm/request-invalid.ts'
import { cut, type Telemetry } from '../telemetry/audit.ts'
import type { Client } from '../tls/client.ts'
import { apiVersion } from '../version.ts'
import type { Admission } from './admission.ts'
import { Exchange } from './exchange.ts'
import { refuse } from './proxy-error.ts'
import { assertWanted, parseJsonObject, readBody } from './request-body.ts'
import { FamiliarTargets, RouteTable, type Destination } from './route-table.ts'
import { parseBody } from './wire.ts'

export interface AppOptions {
  readonly pools: readonly Pool[]
  readonly deadlines: Deadlines
  readonly maxBodyBytes: number
  readonly admission: Admission
  readonly clientOf: (socket: object) => Client
  readonly isDraining: () => boolean
  readonly telemetry: Telemetry
}

/** What node-server puts into Hono's `env`. */
interface NodeBindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

export interface AppEnv {
  readonly Bindings: NodeBindings
}

/** The EKM Proxy API over every pool. Whatever comes in, the reply is JSON, and a failure is a ProxyError. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const { clientOf, deadlines, telemetry } = options
  const table = new RouteTable(options.pools)
  const familiar = new FamiliarTargets()
  // Hono's routers decode paths and take * for a wildcard; here a path has one spelling.
  const app = new Hono<AppEnv>({ getPath: () => '/' })
  app.all('/', async ({ env, req }) => {
    const { incoming, outgoing } = env
    const exchange = new Exchange(incoming, outgoing, clientOf(incoming.socket), deadlines, telemetry)
    try {
      assertAdmitted(exchange, options)
      const target = incoming.url ?? ''
      const known = familiar.get(target)
      const destination = known ?? find(req.url, exchange, table, options)
      assertMayUse(destination, exchange, options)
      if (incoming.method !== 'POST') throw refuse('METHOD_NOT_ALLOWED')
      assertKeyName(destination, exchange)
      if (known === undefined) {
        if (hasPlainApiVersion(req.url)) familiar.add(target, destination)
        else assertApiVersion(req.queries('api-version') ?? [])
      }
      assertWanted(incoming, outgoing, options.maxBodyBytes)
      const json = parseJsonObject(await readBody(incoming, options.maxBodyBytes, exchange.call))
      exchange.noteContext(json)
      const { pool, route, keyName } = destination
      return exchange.succeed(await route.answer(pool, keyName, parseBody(route.body, json), exchange))
    } catch (error) {
      return exchange.fail(error)
    } finally {
      exchange.end()
    }
  })
  // The listener answers what goes wrong here.
  app.onError((error) => {
    throw error
  })
  return app
}

/** Nobody gets further without a valid certificate, and nothing does once the gateway is shutting down. */
function assertAdmitted({ client }: Exchange, { admission, isDraining }: AppOptions): void {
  const refusal = admission.refusalOf(client)
  if (refusal !== undefined) throw refusal
  if (isDraining()) throw refuse('DRAINING')
}

/** Who may use no pool at all learns nothing of which paths there are. */
function find(url: string, exchange: Exchange, table: RouteTable, { pools, admission }: AppOptions): Destination {
  const { client, record } = exchange
  const path = pathOf(url)
  const destination = table.find(path)
  if (destination === undefined) {
    record.path = cut(path)
    if (pools.some((pool) => admission.mayUse(client, pool))) throw refuse('ROUTE_UNKNOWN')
    throw refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' })
  }
  return destination
}

function assertMayUse({ pool, route }: Destination, { client, record }: Exchange, { admission }: AppOptions): void {
  record.pool = pool.name
  record.operation = route.operation
  if (!admission.mayUse(client, pool)) throw refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' })
}

function assertKeyName({ route, keyName }: Destination, { record }: Exchange): void {
  if (!route.takesKey) return
  if (!isKeyName(keyName)) throw refuse('KEY_NAME_INVALID')
  record.key = keyName
}

/** The path as it was sent. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return end === -1 ? url.slice(start) : url.slice(start, end)
}

const query = `?api-version=${apiVersion}`

/** Whether the query is what Azure sends, which needs no parser to be understood. */
const hasPlainApiVersion = (url: string): boolean => url.slice(url.indexOf('?')) === query

function assertApiVersion(versions: readonly string[]): void {
  if (versions.length === 1 && versions[0] === apiVersion) return
  const problem = versions.length === 0 ? 'is required' : versions.length > 1 ? 'is repeated' : 'is not supported'
  throw new RequestInvalid(`the query parameter api-version ${problem}: use api-version=${apiVersion}`)
}
