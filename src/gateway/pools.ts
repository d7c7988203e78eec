import { setTimeout as sleep } from 'node:timers/promises'
import { AdapterError, type KeyRef } from '../../adapters/contract/index.ts'
import type { Config, InfoConfig, PoolConfig } from '../config/schema.ts'
import { AllowList } from '../ekm/allow-list.ts'
import type { Backend } from '../ekm/backend/backend.ts'
import { Call } from '../ekm/backend/call.ts'
import { PoolFlows } from '../ekm/backend/flow.ts'
import { Pool, type PoolInfo } from '../ekm/pool.ts'
import { BackendKey, PooledKey } from '../ekm/pooled-key.ts'
import { RateLimit } from '../ekm/rate-limit.ts'
import { toProxyError } from '../http/proxy-error.ts'
import { shareOf, type Share } from './share.ts'
import type { Log } from '../telemetry/log.ts'
import type { ListedKeys } from '../telemetry/gauges.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { version } from '../base/version.ts'

/** The configuration's pools, on the backends that it names. */
export function buildPools(
  config: Config,
  backends: ReadonlyMap<string, Backend>,
  metrics: Metrics,
  share: Share,
): Pool[] {
  return config.pools.map((settings) => buildPool(settings, config.info, backends, metrics, share))
}

function buildPool(
  settings: PoolConfig,
  shared: InfoConfig,
  backends: ReadonlyMap<string, Backend>,
  metrics: Metrics,
  share: Share,
): Pool {
  const { name, limits } = settings
  const flowsTo = new Map<Backend, PoolFlows>()
  const find = (backendName: string) => {
    const backend = backends.get(backendName)
    if (backend === undefined) throw new Error(`the configuration was not checked: no backend ${backendName}`)
    return backend
  }
  const keyAt = (backendName: string, ref: string) => {
    const backend = find(backendName)
    const flows = flowsTo.get(backend) ?? new PoolFlows(limits.concurrency && shareOf(limits.concurrency, share))
    flowsTo.set(backend, flows)
    return new BackendKey(backend, ref as KeyRef, flows)
  }
  const keys = settings.keys === 'all' ? {} : settings.keys
  const backend = find(settings.backend)
  return new Pool({
    name,
    pathPrefix: settings.pathPrefix,
    clients: new AllowList(settings.clients),
    info: poolInfo({ ...shared, ...settings.info }, backend),
    backend,
    keys: new Map(
      Object.entries(keys).map(([key, entry]) => [
        key,
        new PooledKey(
          keyAt(settings.backend, entry?.ref ?? key),
          entry?.standby && keyAt(entry.standby.backend, entry.standby.ref ?? key),
        ),
      ]),
    ),
    ...(settings.keys === 'all' && { find: remember((key) => new PooledKey(keyAt(settings.backend, key))) }),
    ...(limits.requestsPerSecond !== undefined && {
      rateLimit: new RateLimit(shareOf(limits.requestsPerSecond, share), () => metrics.rejected('pool', name, 'rate')),
    }),
  })
}

/** How many unlisted keys are remembered with the history of their calls. A client can ask for any number of names. */
const REMEMBERED_KEYS = 4096

function remember(make: (key: string) => PooledKey): (key: string) => PooledKey {
  const keys = new Map<string, PooledKey>()
  return (name) => {
    const known = keys.get(name)
    if (known !== undefined) return known
    if (keys.size === REMEMBERED_KEYS) keys.clear()
    const key = make(name)
    keys.set(name, key)
    return key
  }
}

/** Standbys that were proven before can be used at once. */
export function inheritProofs(pools: readonly Pool[], before: readonly Pool[]): void {
  for (const pool of pools) {
    const old = before.find(({ name }) => name === pool.name)
    for (const [name, key] of pool.keys) {
      const proven = old?.keys.get(name)
      if (proven !== undefined) key.inherit(proven)
    }
  }
}

/** The backend is asked each time for its product, because it may be opened later. */
const poolInfo = (info: InfoConfig, backend: Backend): PoolInfo => ({
  proxyVendor: info.proxyVendor ?? 'ekm-gateway',
  proxyName: info.proxyName ?? `ekm-gateway ${version}`,
  get ekmVendor() {
    return info.ekmVendor ?? backend.product.vendor
  },
  get ekmProduct() {
    return info.ekmProduct ?? backend.product.name
  },
})

const EXAMINATION_MS = 10_000
const PROVE_AGAIN_MS = 30_000
const LOOK_AGAIN_MS = 60_000
/** Milliseconds between two keys that are examined again, so that a backend hardly notices. */
const PACE_MS = 20

/** The gauges of the keys that pools list. */
export const listedKeys = (pools: readonly Pool[]): ListedKeys[] =>
  pools
    .filter(({ keys }) => keys.size > 0)
    .map(({ name, keys }) => {
      const all = [...keys.values()]
      return {
        pool: name,
        listed: all.length,
        usable: all.filter(({ isUsable }) => isUsable === true).length,
        unproven: all.filter(({ likeness }) => likeness === 'unproven').length,
        different: all.filter(({ likeness }) => likeness === 'different').length,
      }
    })

/** Errors that prove nothing about a key. */
const saysNothing: ReadonlySet<string> = new Set(['BACKEND_BUSY', 'CANCELLED', 'CLOSED'])

/**
 * Reports listed keys that cannot be used to the operator at once, before Azure needs them, and examines all keys again
 * about every minute. It also has backends prepare each key before the first request, and proves that standbys hold the
 * same keys, again and again until that is known of each.
 */
export class Examination {
  readonly #pools: readonly Pool[]
  readonly #log: Log | undefined
  readonly #lookAgainMs: number
  /** Resolves when each key has been examined and its backend knows how to use it. */
  readonly looked: Promise<void>
  #timer: NodeJS.Timeout | undefined
  #nextLook: NodeJS.Timeout | undefined
  #stopped = false

  /** @param log undefined if another process reports the same keys */
  constructor(pools: readonly Pool[], log?: Log, lookAgainMs = LOOK_AGAIN_MS) {
    this.#pools = pools
    this.#log = log
    this.#lookAgainMs = lookAgainMs
    this.looked = this.#look()
    void this.looked.then(() => this.#proveStandbys())
    void this.looked.then(() => this.#lookLater())
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    clearTimeout(this.#nextLook)
  }

  async #look(): Promise<void> {
    const prepared: Promise<void>[] = []
    const look = async (key: PooledKey, call: Call) => {
      // The unreachable backend has been reported. Once it is open, everything is examined again.
      if (key.isAway) return
      await this.#lookAt(key, call)
      prepared.push(this.#prepare(key))
    }
    await this.#eachKey(look, 'key_unusable')
    await Promise.all(prepared)
  }

  async #lookAt(key: PooledKey, call: Call): Promise<void> {
    try {
      await key.use(call, 'read', (backendKey) => backendKey.describe(call))
      key.isUsable = true
      key.problem = undefined
    } catch (error) {
      if (!(error instanceof AdapterError && saysNothing.has(error.code))) {
        key.isUsable = false
        key.problem = error instanceof AdapterError ? error.code : 'INTERNAL'
      }
      throw error
    }
  }

  #lookLater(): void {
    if (this.#stopped) return
    this.#nextLook = setTimeout(() => void this.#lookAgain().then(() => this.#lookLater()), this.#lookAgainMs)
    this.#nextLook.unref()
  }

  /** Reports only changes. */
  async #lookAgain(): Promise<void> {
    const lookAgain = async (key: PooledKey, call: Call) => {
      await sleep(PACE_MS)
      // The state of its backend is reported for the backend.
      if (this.#stopped || !key.isReady) return
      const wasUsable = key.isUsable
      try {
        await this.#lookAt(key, call)
        if (wasUsable !== true) await this.#prepare(key)
        // To see whether its ways are still the same. A backend that knows them has nothing to do.
        else void this.#prepare(key)
      } catch (error) {
        if (wasUsable !== key.isUsable && key.isReady) throw error
      }
    }
    await this.#eachKey(lookAgain, 'key_unusable')
  }

  async #prepare(key: PooledKey): Promise<void> {
    const call = new Call(EXAMINATION_MS)
    // The request that uses the key reports what is wrong.
    await key.prepare(call).catch(() => undefined)
    call.end()
  }

  async #proveStandbys(): Promise<void> {
    let unproven = false
    const prove = async (key: PooledKey, call: Call) => {
      if (key.likeness !== 'unproven') return true
      unproven = true
      return (await key.prove(call)) === 'same'
    }
    await this.#eachKey(prove, 'standby_unproven', 'standby_differs')
    if (this.#stopped || !unproven) return
    this.#timer = setTimeout(() => void this.#proveStandbys(), PROVE_AGAIN_MS)
    this.#timer.unref()
  }

  /** @param refuted the event to log if `look` finds that something is not so */
  async #eachKey(
    look: (key: PooledKey, call: Call) => Promise<unknown>,
    failed: string,
    refuted?: string,
  ): Promise<void> {
    // A slow backend of one pool does not delay another pool.
    await Promise.all(this.#pools.map((pool) => this.#eachKeyOf(pool, look, failed, refuted)))
  }

  async #eachKeyOf(
    pool: Pool,
    look: (key: PooledKey, call: Call) => Promise<unknown>,
    failed: string,
    refuted?: string,
  ): Promise<void> {
    for (const [name, key] of pool.keys) {
      if (this.#stopped) return
      const call = new Call(EXAMINATION_MS)
      try {
        const good = await look(key, call)
        if (refuted !== undefined && good === false) this.#log?.error(refuted, { pool: pool.name, key: name })
      } catch (error) {
        const { reason = 'INTERNAL', detail } = toProxyError(error)
        if (reason !== 'CLOSED') this.#log?.warn(failed, { pool: pool.name, key: name, reason, detail })
      } finally {
        call.end()
      }
    }
  }
}
