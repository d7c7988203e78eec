import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { listen } from '../../base/listen.ts'
import { Connections } from './connections.ts'
import { Hosts } from './hosts.ts'
import type { GatewayStatus } from '../../gateway/status.ts'

/** What the admin port tells of. */
export interface AdminSource {
  status(): Promise<GatewayStatus>
  /** Prometheus' text format. */
  metrics(): Promise<string>
}

export interface AdminServer {
  readonly port: number
  close(): Promise<void>
}

export interface AdminOptions {
  readonly host: string
  readonly port: number
  /** Names that the port is asked by, beside its host, its addresses and `localhost`. */
  readonly hosts?: readonly string[] | undefined
}

/** A connection that has not sent a header by then, or nothing since its last answer, is closed. */
const IDLE_MS = 2000
/** So long a connection may stand still at all, as when its client does not read. */
const STILL_MS = 5000
const CHECKING_INTERVAL_MS = 500
/** A connection that finds the kernel's queue full tries again a second later. */
const BACKLOG = 4096

/**
 * Serves `/healthz`, `/readyz`, `/status` and `/metrics`, unencrypted and to everybody who reaches the port: none of it is
 * a secret, and all of it is the operator's business. Rejects with an OperatorError if it cannot listen.
 */
export async function serveAdmin({ host, port, hosts = [] }: AdminOptions, source: AdminSource): Promise<AdminServer> {
  const answer = getRequestListener(adminApp(source).fetch, { hostname: 'localhost' })
  const known = new Hosts([...hosts, host])
  const connections = new Connections()
  const timeouts = {
    headersTimeout: IDLE_MS,
    requestTimeout: IDLE_MS,
    keepAliveTimeout: IDLE_MS,
    connectionsCheckingInterval: CHECKING_INTERVAL_MS,
  }
  const server = createServer(timeouts, (incoming, outgoing) => {
    connections.answering(incoming.socket, outgoing)
    const refusal = known.refusalOf(incoming)
    if (refusal === undefined) void answer(incoming, outgoing)
    else outgoing.writeHead(refusal.status, { 'content-type': 'text/plain; charset=utf-8' }).end(refusal.text)
  })
  server.timeout = STILL_MS
  server.on('connection', (socket) => connections.admit(socket))
  const actualPort = await listen(server, host, port, BACKLOG)
  return {
    port: actualPort,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function adminApp(source: AdminSource): Hono {
  const app = new Hono()
  app.get('/healthz', (c) => c.text('alive\n'))
  app.get('/readyz', async (c) => {
    const { ready, draining, pools } = await source.status()
    const name = c.req.query('pool')
    if (name === undefined) return c.json({ ready, draining, pools }, ready ? 200 : 503)
    const pool = pools.find((candidate) => candidate.name === name)
    if (pool === undefined) {
      return c.text(`there is no such pool; there is: ${pools.map((known) => known.name).join(', ')}\n`, 404)
    }
    return c.json({ ...pool, draining }, pool.ready && !draining ? 200 : 503)
  })
  app.get('/status', async (c) => c.json(await source.status()))
  app.get('/metrics', async (c) => {
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    return c.body(await source.metrics())
  })
  app.notFound((c) => c.text('there is /healthz, /readyz, /status and /metrics\n', 404))
  app.onError((_error, c) => c.text('the gateway did not say\n', 500))
  return app
}
