import type { KeyAdapter, KeyRef } from '../adapters/contract/index.ts'
import { openBackend } from './backends.ts'
import type { Config, InfoConfig, PoolConfig } from './config/schema.ts'
import { AllowList } from './ekm/allow-list.ts'
import { Backend } from './ekm/backend.ts'
import { Call } from './ekm/call.ts'
import { Pool, type PoolInfo } from './ekm/pool.ts'
import { Admission } from './http/admission.ts'
import { createApp } from './http/app.ts'
import { toProxyError } from './http/proxy-error.ts'
import { serveHttp } from './http/server.ts'
import { openLog, reportTo, type Log } from './telemetry/log.ts'
import { Listener } from './tls/listener.ts'
import { Trust } from './tls/trust.ts'
import { version } from './version.ts'

/** A gateway that serves. */
export interface Gateway {
  /** The port it listens on, which the system chose if the configuration says 0. */
  readonly port: number
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
  const closeAll = async () => {
    for (const resource of opened.reverse()) await resource.close()
  }
  try {
    const log = await openLog(config.log)
    opened.push(log)
    const backends = new Map<string, Backend>()
    for (const [name, settings] of Object.entries(config.backends)) {
      const adapter = await open(settings, reportTo(log, name))
      opened.push(adapter)
      backends.set(name, new Backend(name, adapter, config.limits.keyCacheMs))
    }
    return await listen(config, log, backends, closeAll)
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function listen(
  config: Config,
  log: Log,
  backends: ReadonlyMap<string, Backend>,
  closeAll: () => Promise<void>,
): Promise<Gateway> {
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
  let draining = false
  const pools = config.pools.map((settings) => buildPool(settings, config.info, backends))
  const admission = new Admission(clientAuth)
  const app = createApp({
    pools,
    deadlineMs,
    maxBodyBytes,
    admission,
    clientOf: (socket) => listener.clientOf(socket),
    isDraining: () => draining,
    log,
  })
  const requests = serveHttp(listener, app, { admission, deadlineMs, log })
  const actualPort = await listener.listen()
  log.info('listening', { version, host, port: actualPort, pools: pools.length, client_auth: clientAuth })
  if (clientAuth === 'disabled') {
    log.always('client_auth_disabled', {
      message: 'anyone who reaches this port can wrap and unwrap: development only',
    })
  }
  void examineKeys(pools, log)

  return {
    port: actualPort,
    log,
    get requestsUnderWay() {
      return requests.underWay
    },
    drain: async () => {
      draining = true
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

const EXAMINATION_MS = 10_000

/**
 * Tells the operator at once of listed keys that cannot be used, instead of Azure on the day it needs them. It also spares
 * the first requests what a backend finds out when it first sees a key.
 */
async function examineKeys(pools: readonly Pool[], log: Log): Promise<void> {
  for (const pool of pools) {
    for (const key of pool.keyNames) {
      const call = new Call(EXAMINATION_MS)
      await pool.describe(key, call).catch((error: unknown) => {
        const { reason = 'INTERNAL', detail } = toProxyError(error)
        if (reason !== 'CLOSED') log.warn('key_unusable', { pool: pool.name, key, reason, detail })
      })
      call.end()
    }
  }
}

function buildPool(settings: PoolConfig, shared: InfoConfig, backends: ReadonlyMap<string, Backend>): Pool {
  const backend = backends.get(settings.backend)
  if (backend === undefined) throw new Error(`the configuration was not checked: no backend ${settings.backend}`)
  return new Pool({
    name: settings.name,
    pathPrefix: settings.pathPrefix,
    clients: new AllowList(settings.clients),
    info: poolInfo({ ...shared, ...settings.info }, backend.adapter.product),
    backend,
    keys: settings.keys === 'all' ? 'all' : keyTable(settings.keys),
  })
}

const poolInfo = (info: InfoConfig, { vendor, name }: KeyAdapter['product']): PoolInfo => ({
  proxyVendor: info.proxyVendor ?? 'ekm-gateway',
  proxyName: info.proxyName ?? `ekm-gateway ${version}`,
  ekmVendor: info.ekmVendor ?? vendor,
  ekmProduct: info.ekmProduct ?? name,
})

const keyTable = (keys: Exclude<PoolConfig['keys'], 'all'>): ReadonlyMap<string, KeyRef> =>
  new Map(Object.entries(keys).map(([name, entry]) => [name, (entry?.ref ?? name) as KeyRef]))
