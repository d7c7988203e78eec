import { serveAdmin } from './admin/server.ts'
import type { GatewayStatus } from './admin/status.ts'
import { openBackend } from './backends.ts'
import type { Config } from './config/schema.ts'
import { Backend, type BackendObserver } from './ekm/backend.ts'
import { Admission } from './http/admission.ts'
import { createApp } from './http/app.ts'
import { serveHttp, type Requests } from './http/server.ts'
import { buildPools, Examination } from './pools.ts'
import type { Telemetry } from './telemetry/audit.ts'
import { openLog, reportTo, type Log } from './telemetry/log.ts'
import { Metrics } from './telemetry/metrics.ts'
import { Listener } from './tls/listener.ts'
import { Trust } from './tls/trust.ts'
import { version } from './version.ts'

/** A gateway that serves. */
export interface Gateway {
  /** The port it listens on, which the system chose if the configuration says 0. */
  readonly port: number
  /** That of the admin port, where there is one. */
  readonly adminPort: number | undefined
  readonly log: Log
  readonly requestsUnderWay: number
  /**
   * Takes no new connections, refuses new requests with 503, waits for those under way as long as the configuration
   * allows, and lets go of everything. Resolves with how many requests were cut off.
   */
  drain(): Promise<number>
}

/**
 * Opens everything the configuration names, then listens. Rejects with an OperatorError and then leaves nothing open.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export async function startGateway(config: Config, open = openBackend): Promise<Gateway> {
  const opened: { close(): Promise<void> }[] = []
  const keep = <T extends { close(): Promise<void> }>(resource: T): T => {
    opened.push(resource)
    return resource
  }
  const closeAll = async () => {
    for (const resource of opened.reverse()) await resource.close()
  }
  try {
    const log = keep(await openLog(config.log))
    const backends = new Map<string, Backend>()
    const state = { draining: false, requests: undefined as Requests | undefined }
    const status = (): GatewayStatus => {
      const statuses = [...backends.values()].map((backend) => backend.status)
      const ready = !state.draining && statuses.every((backend) => backend.ready)
      const requests = state.requests?.underWay ?? 0
      return { version, ready, draining: state.draining, requests, backends: statuses }
    }
    const metrics = new Metrics(version, () => ({
      backends: status().backends,
      certificates: [],
      tlsConnections: 0,
      logLinesDropped: log.dropped,
    }))
    const telemetry = { log, metrics }
    for (const [name, settings] of Object.entries(config.backends)) {
      const adapter = await open(settings, reportTo(log, name))
      const observer = observe(name, telemetry)
      const { keyCacheMs } = config.limits
      backends.set(name, keep(new Backend({ ...settings, name, adapter, keyCacheMs, observer })))
    }
    const { admin } = config
    const source = { status: async () => status(), metrics: () => metrics.text() }
    const adminServer = admin && keep(await serveAdmin(admin.host, admin.port, source))
    if (adminServer) log.info('admin_listening', { host: admin.host, port: adminServer.port })
    return await listen(config, telemetry, backends, state, adminServer?.port, closeAll)
  } catch (error) {
    await closeAll()
    throw error
  }
}

function observe(backend: string, { log, metrics }: Telemetry): BackendObserver {
  return {
    called: (operation, code, elapsedMs) => metrics.called(backend, operation, code, elapsedMs),
    rejected: (rejection) => metrics.rejected('backend', backend, rejection),
    changed: (isUp) => (isUp ? log.info('backend_up', { backend }) : log.error('backend_down', { backend })),
  }
}

async function listen(
  config: Config,
  telemetry: Telemetry,
  backends: ReadonlyMap<string, Backend>,
  state: { draining: boolean; requests: Requests | undefined },
  adminPort: number | undefined,
  closeAll: () => Promise<void>,
): Promise<Gateway> {
  const { log, metrics } = telemetry
  const { host, port, tls, clientAuth } = config.listen
  const { deadlineMs, maxBodyBytes, idleConnectionMs, drainMs } = config.limits
  const listener = new Listener({
    host,
    port,
    credentials: tls,
    clientAuth,
    trust: new Trust(config.pools.flatMap(({ clients }) => clients)),
    idleConnectionMs,
    log,
  })
  const pools = buildPools(config, backends, metrics)
  const admission = new Admission(clientAuth)
  const app = createApp({
    pools,
    deadlineMs,
    maxBodyBytes,
    admission,
    clientOf: (socket) => listener.clientOf(socket),
    isDraining: () => state.draining,
    telemetry,
  })
  const requests = serveHttp(listener, app, { admission, deadlineMs, telemetry })
  state.requests = requests
  const actualPort = await listener.listen()
  log.info('listening', { version, host, port: actualPort, pools: pools.length, client_auth: clientAuth })
  if (clientAuth === 'disabled') {
    log.always('client_auth_disabled', {
      message: 'anyone who reaches this port can wrap and unwrap: development only',
    })
  }
  const examination = new Examination(pools, log)

  return {
    port: actualPort,
    adminPort,
    log,
    get requestsUnderWay() {
      return requests.underWay
    },
    drain: async () => {
      state.draining = true
      examination.stop()
      log.info('draining', { requests: requests.underWay })
      listener.stopAccepting()
      const cutOff = await requests.settled(drainMs)
      listener.closeConnections()
      log.info('stopped', { requests_cut_off: cutOff })
      await closeAll()
      return cutOff
    },
  }
}
