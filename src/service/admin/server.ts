import { createServer, type IncomingMessage } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { listen } from '../../base/listen.ts'
import { Visits } from './visits.ts'
import { Hosts } from './hosts.ts'
import { contentSecurityPolicy, statusPage } from './page/document.ts'
import { TokenGate, type TokenRefusal } from './token.ts'
import type { Look } from './look.ts'
import type { GatewayStatus } from '../../gateway/status.ts'

/** What the admin port shows. */
export interface AdminView {
  status(): Promise<GatewayStatus>
  /** In Prometheus' text format. */
  metrics(): Promise<string>
  /** What the status page shows. */
  look(): Promise<Look>
}

export interface AdminServer {
  readonly port: number
  close(): Promise<void>
}

export interface AdminOptions {
  readonly host: string
  readonly port: number
  /** Names of the port besides its host, its addresses and `localhost`. */
  readonly hosts?: readonly string[] | undefined
}

/** Milliseconds. A connection is closed if it has not sent a header by then, or nothing since its last answer. */
const IDLE_MS = 2000
/**
 * Milliseconds without any progress after which a connection is closed, for instance because its client does not read.
 */
const STILL_MS = 5000
const CHECKING_INTERVAL_MS = 500
/** A connection that finds the kernel's queue full tries again only a second later. */
const BACKLOG = 4096

/**
 * Serves the status page, `/healthz`, `/readyz`, `/status` and `/metrics`, without encryption: none of it is secret, but
 * only the operator needs it. `/healthz` and `/readyz` answer everybody, the others whom `gate` lets in.
 * @throws OperatorError if it cannot listen
 */
export async function serveAdmin(
  { host, port, hosts = [] }: AdminOptions,
  view: AdminView,
  gate = new TokenGate(() => undefined),
): Promise<AdminServer> {
  const answer = getRequestListener(adminApp(view).fetch, { hostname: 'localhost' })
  const known = new Hosts([...hosts, host])
  const visits = new Visits()
  const timeouts = {
    headersTimeout: IDLE_MS,
    requestTimeout: IDLE_MS,
    keepAliveTimeout: IDLE_MS,
    connectionsCheckingInterval: CHECKING_INTERVAL_MS,
  }
  const server = createServer(timeouts, (incoming, outgoing) => {
    visits.answering(incoming.socket, outgoing)
    const refusal: Refusal | undefined = known.refusalOf(incoming) ?? tokenRefusal(incoming, gate)
    if (refusal === undefined) return void answer(incoming, outgoing)
    const { status, text, headers = {} } = refusal
    outgoing.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(text)
  })
  server.timeout = STILL_MS
  server.on('connection', (socket) => visits.admit(socket))
  const actualPort = await listen(server, host, port, BACKLOG)
  return {
    port: actualPort,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Refusal {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string | string[]>>
}

const ask = { 'www-authenticate': ['Basic realm="ekm-gateway", charset="UTF-8"', 'Bearer realm="ekm-gateway"'] }
const refusals: Readonly<Record<TokenRefusal, Refusal>> = {
  missing: { status: 401, text: 'the admin token is needed: Authorization: Bearer TOKEN\n', headers: ask },
  wrong: { status: 401, text: 'this is not the admin token\n', headers: ask },
  too_many: { status: 429, text: 'too many wrong tokens: wait\n', headers: { 'retry-after': '6' } },
}

/** Probes and balancers have no token. A target that is not plainly one of theirs needs it. */
function tokenRefusal(incoming: IncomingMessage, gate: TokenGate): Refusal | undefined {
  if (/^\/(?:healthz|readyz)(?:\?|$)/.test(incoming.url ?? '')) return undefined
  const refusal = gate.refusalOf(incoming)
  return refusal && refusals[refusal]
}

const READING = 'GET, HEAD'

/** A browser takes the page for nothing else, does not keep it, and tells nobody of it. */
const pageHeaders = {
  'content-security-policy': contentSecurityPolicy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
}

function adminApp(view: AdminView): Hono {
  const app = new Hono()
  app.get('/', async (c) => {
    return c.html(statusPage(await view.look()), 200, pageHeaders)
  })
  app.get('/healthz', (c) => c.text('alive\n'))
  app.get('/readyz', async (c) => {
    const { ready, draining, pools } = await view.status()
    const name = c.req.query('pool')
    if (name === undefined) return c.json({ ready, draining, pools }, ready ? 200 : 503)
    const pool = pools.find((candidate) => candidate.name === name)
    if (pool === undefined) {
      return c.text(`no pool has this name; the pools are: ${pools.map((known) => known.name).join(', ')}\n`, 404)
    }
    return c.json({ ...pool, draining }, pool.ready && !draining ? 200 : 503)
  })
  app.get('/status', async (c) => c.json(await view.status()))
  app.get('/metrics', async (c) => {
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    return c.body(await view.metrics())
  })
  const paths = app.routes.map(({ path }) => path)
  for (const path of paths) {
    app.all(path, (c) => c.text(`the admin port is only read: ${READING}\n`, 405, { allow: READING }))
  }
  app.notFound((c) => c.text('not found; the paths are /, /healthz, /readyz, /status and /metrics\n', 404))
  app.onError((_error, c) => c.text('the gateway could not answer\n', 500))
  return app
}
