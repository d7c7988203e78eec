import type { IncomingMessage, ServerResponse } from 'node:http'
import { Hono, type Context, type MiddlewareHandler } from 'hono'
import { isKeyName } from '../../adapters/contract/index.ts'
import type { Pool } from '../ekm/pool.ts'
import { RequestInvalid } from '../ekm/request-invalid.ts'
import { cut, type Telemetry } from '../telemetry/audit.ts'
import type { Client } from '../tls/client.ts'
import { apiVersion } from '../version.ts'
import type { Admission } from './admission.ts'
import { Exchange } from './exchange.ts'
import { info } from './info.ts'
import { metadata } from './metadata.ts'
import { refuse, type ProxyError } from './proxy-error.ts'
import { readJsonObject } from './request-body.ts'
import type { Route } from './route.ts'
import { unwrapkey } from './unwrapkey.ts'
import { parseBody } from './wire.ts'
import { wrapkey } from './wrapkey.ts'

const routes: readonly Route[] = [info, metadata, wrapkey, unwrapkey] as readonly Route[]

export interface AppOptions {
  readonly pools: readonly Pool[]
  readonly deadlineMs: number
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
  readonly Variables: { exchange: Exchange }
}

/** The EKM Proxy API over every pool. Whatever comes in, the reply is JSON, and a failure is a ProxyError. */
export function createApp(options: AppOptions): Hono<AppEnv> {
  const app = new Hono<AppEnv>({ getPath: ({ url }) => pathOf(url) })
  app.use(openExchange(options), admit(options))
  for (const pool of options.pools) {
    for (const route of routes) {
      const segments = [pool.pathPrefix, route.takesKey ? ':key' : '', route.operation].filter(
        (segment) => segment !== '',
      )
      app.all(`/${segments.join('/')}`, serve(pool, route, options))
    }
  }
  app.notFound((c) => c.get('exchange').fail(refuseRoute(c.get('exchange'), c.req.path, options)))
  app.onError((error, c) => c.get('exchange').fail(error))
  return app
}

/** The path as it was sent, without percent-decoding: each path has one spelling. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  const path = end === -1 ? url.slice(start) : url.slice(start, end)
  // The router takes a path that is literally /* for its own wildcard, and runs what is registered there twice.
  return path.includes('*') ? '/' : path
}

const openExchange =
  ({ clientOf, deadlineMs, telemetry }: AppOptions): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const { incoming, outgoing } = c.env
    const exchange = new Exchange(incoming, outgoing, clientOf(incoming.socket), deadlineMs, telemetry)
    c.set('exchange', exchange)
    try {
      return await next()
    } catch (error) {
      // Hono hands only instances of Error to onError.
      return exchange.fail(error)
    } finally {
      exchange.end()
    }
  }

/** Nobody gets further without a valid certificate, and nothing does once the gateway is shutting down. */
const admit =
  ({ admission, isDraining }: AppOptions): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const refusal = admission.refusalOf(c.get('exchange').client)
    if (refusal !== undefined) throw refusal
    if (isDraining()) throw refuse('DRAINING')
    await next()
  }

/** Who may use no pool at all learns nothing of which paths there are. */
function refuseRoute({ client, record }: Exchange, path: string, { pools, admission }: AppOptions): ProxyError {
  record.path = cut(path)
  if (pools.some((pool) => admission.mayUse(client, pool))) return refuse('ROUTE_UNKNOWN')
  return refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' })
}

const serve = (pool: Pool, route: Route, options: AppOptions) => async (c: Context<AppEnv>) => {
  const exchange = c.get('exchange')
  const { record, client, call } = exchange
  record.pool = pool.name
  record.operation = route.operation
  if (!options.admission.mayUse(client, pool)) throw refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' })
  if (c.env.incoming.method !== 'POST') throw refuse('METHOD_NOT_ALLOWED')
  // Not Hono's parameter, which is percent-decoded: a key name has one spelling.
  const keyName = route.takesKey ? (c.req.path.split('/').at(-2) ?? '') : ''
  if (route.takesKey) {
    if (!isKeyName(keyName)) throw refuse('KEY_NAME_INVALID')
    record.key = keyName
  }
  assertApiVersion(c.req.queries('api-version') ?? [])
  const json = await readJsonObject(c.env.incoming, c.env.outgoing, options.maxBodyBytes, call)
  exchange.noteContext(json)
  const body = parseBody(route.body, json)
  return exchange.succeed(JSON.stringify(await route.answer(pool, keyName, body, exchange)))
}

function assertApiVersion(versions: readonly string[]): void {
  if (versions.length === 1 && versions[0] === apiVersion) return
  const problem = versions.length === 0 ? 'is required' : versions.length > 1 ? 'is repeated' : 'is not supported'
  throw new RequestInvalid(`the query parameter api-version ${problem}: use api-version=${apiVersion}`)
}
