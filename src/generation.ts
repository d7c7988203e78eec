import type { KeyAdapter, KeyRef } from '../adapters/contract/index.ts'
import type { openBackend } from './backends.ts'
import { digestOf } from './config/compare.ts'
import type { Config, InfoConfig, PoolConfig } from './config/schema.ts'
import { AllowList } from './ekm/allow-list.ts'
import { Backend } from './ekm/backend.ts'
import { Pool, type PoolInfo } from './ekm/pool.ts'
import { Admission } from './http/admission.ts'
import { createApp, type AppOptions } from './http/app.ts'
import type { Served } from './http/server.ts'
import { shareBackend, shareLimits, type Share } from './share.ts'
import { reportTo, type Log } from './telemetry/log.ts'
import { Trust } from './tls/trust.ts'
import { version } from './version.ts'

/** Everything that one configuration makes, complete and never changed: a reload makes another, and swaps them. */
export interface Generation extends Served {
  readonly config: Config
  readonly limits: Config['limits']
  readonly pools: readonly Pool[]
  readonly trust: Trust
  readonly backends: ReadonlyMap<string, OpenBackend>
}

export interface OpenBackend {
  readonly adapter: KeyAdapter
  readonly backend: Backend
  /** Of its settings, and of the limits that its use depends on. */
  readonly digests: { readonly adapter: string; readonly backend: string }
}

/** What every generation of a process has in common. */
export interface Surroundings extends Pick<AppOptions, 'clientOf' | 'isDraining' | 'log'> {
  readonly log: Log
  readonly share: Share
  readonly open: typeof openBackend
}

/**
 * Opens what `config` names and `before` does not have open yet. Rejects with an OperatorError, and then leaves nothing
 * open of its own; what `before` has stays as it is in any case.
 */
export async function openGeneration(
  config: Config,
  surroundings: Surroundings,
  before?: Generation,
): Promise<Generation> {
  const limits = shareLimits(config.limits, surroundings.share)
  const backends = new Map<string, OpenBackend>()
  try {
    for (const [name, settings] of Object.entries(config.backends)) {
      const old = before?.backends.get(name)
      const digests = { adapter: digestOf(settings), backend: digestOf(limits.keyCacheMs) }
      if (old?.digests.adapter === digests.adapter) {
        const backend =
          old.digests.backend === digests.backend ? old.backend : new Backend(name, old.adapter, limits.keyCacheMs)
        backends.set(name, { ...old, backend, digests })
        continue
      }
      const adapter = await surroundings.open(
        shareBackend(settings, surroundings.share),
        reportTo(surroundings.log, name),
      )
      backends.set(name, { adapter, backend: new Backend(name, adapter, limits.keyCacheMs), digests })
    }
    return compose(config, limits, backends, surroundings, before)
  } catch (error) {
    await closeAdapters(adaptersOnlyIn({ backends }, before))
    throw error
  }
}

function compose(
  config: Config,
  limits: Config['limits'],
  backends: ReadonlyMap<string, OpenBackend>,
  surroundings: Surroundings,
  before: Generation | undefined,
): Generation {
  const pools = config.pools.map((settings) => buildPool(settings, config.info, backends))
  const admission = new Admission(config.listen.clientAuth)
  const { deadlineMs, maxBodyBytes } = limits
  const { clientOf, isDraining, log } = surroundings
  return {
    config,
    limits,
    pools,
    trust: new Trust(
      config.pools.flatMap(({ clients }) => clients),
      before?.trust,
    ),
    backends,
    admission,
    deadlineMs,
    app: createApp({ pools, deadlineMs, maxBodyBytes, admission, clientOf, isDraining, log }),
  }
}

type HasBackends = Pick<Generation, 'backends'>

/** The adapters that `one` has open and `other` has not. */
export function adaptersOnlyIn(one: HasBackends, other: HasBackends | undefined): KeyAdapter[] {
  const others = new Set([...(other?.backends.values() ?? [])].map(({ adapter }) => adapter))
  return [...one.backends.values()].map(({ adapter }) => adapter).filter((adapter) => !others.has(adapter))
}

export async function closeAdapters(adapters: readonly KeyAdapter[]): Promise<void> {
  for (const adapter of adapters.toReversed()) await adapter.close()
}

function buildPool(settings: PoolConfig, shared: InfoConfig, backends: ReadonlyMap<string, OpenBackend>): Pool {
  const backend = backends.get(settings.backend)?.backend
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
