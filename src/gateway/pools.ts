import type { KeyRef } from '../../adapters/contract/index.ts'
import type { Config, InfoConfig, PoolConfig } from '../config/schema.ts'
import { AllowList } from '../ekm/allow-list.ts'
import type { Backend } from '../ekm/backend/backend.ts'
import { Call } from '../ekm/backend/call.ts'
import { Lane } from '../ekm/backend/flow.ts'
import { Pool, type PoolInfo } from '../ekm/pool.ts'
import { KeyPlace, PooledKey } from '../ekm/pooled-key.ts'
import { RateLimit } from '../ekm/rate-limit.ts'
import { toProxyError } from '../http/proxy-error.ts'
import { shareOf, type Share } from './share.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { version } from '../base/version.ts'

/** The configuration's pools, over the backends that it names. */
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
  const lanes = new Map<Backend, Lane>()
  const find = (backendName: string) => {
    const backend = backends.get(backendName)
    if (backend === undefined) throw new Error(`the configuration was not checked: no backend ${backendName}`)
    return backend
  }
  const place = (backendName: string, ref: string) => {
    const backend = find(backendName)
    const lane = lanes.get(backend) ?? new Lane(limits.concurrency && shareOf(limits.concurrency, share))
    lanes.set(backend, lane)
    return new KeyPlace(backend, ref as KeyRef, lane)
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
          place(settings.backend, entry?.ref ?? key),
          entry?.standby && place(entry.standby.backend, entry.standby.ref ?? key),
        ),
      ]),
    ),
    ...(settings.keys === 'all' && { find: remember((key) => new PooledKey(place(settings.backend, key))) }),
    ...(limits.requestsPerSecond !== undefined && {
      rateLimit: new RateLimit(shareOf(limits.requestsPerSecond, share), () => metrics.rejected('pool', name, 'rate')),
    }),
  })
}

/** Keys that nobody listed, and of which it is remembered how their calls went; a client can ask for any number. */
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

/** Spares standbys that were proven already the time in which they would not be used. */
export function inheritProofs(pools: readonly Pool[], before: readonly Pool[]): void {
  for (const pool of pools) {
    const old = before.find(({ name }) => name === pool.name)
    for (const [name, key] of pool.keys) {
      const proven = old?.keys.get(name)
      if (proven !== undefined) key.inherit(proven)
    }
  }
}

/** What the backend says is asked each time: it may be opened later. */
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

/**
 * Tells the operator at once of listed keys that cannot be used, instead of Azure on the day it needs them. It also spares
 * the first requests what a backend finds out when it first sees a key, and proves that standbys hold the same keys, again
 * and again until it is known of each.
 */
export class Examination {
  readonly #pools: readonly Pool[]
  readonly #log: Log | undefined
  /** Each key has been looked at, and its backend knows how to use it. */
  readonly looked: Promise<void>
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  /** @param log absent where another process tells of the same keys */
  constructor(pools: readonly Pool[], log?: Log) {
    this.#pools = pools
    this.#log = log
    this.looked = this.#look()
    void this.looked.then(() => this.#proveStandbys())
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #look(): Promise<void> {
    const prepared: Promise<void>[] = []
    const look = async (key: PooledKey, call: Call) => {
      // Of its backend it was told that it is away. Once it is there, everything is looked at again.
      if (key.isAway) return
      await key.use(call, 'read', (place) => place.describe(call))
      prepared.push(this.#prepare(key))
    }
    await this.#eachKey(look, 'key_unusable')
    await Promise.all(prepared)
  }

  async #prepare(key: PooledKey): Promise<void> {
    const call = new Call(EXAMINATION_MS)
    // Whoever uses the key finds out what is wrong.
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

  /** @param refuted what to call it if `look` says that something is not so */
  async #eachKey(
    look: (key: PooledKey, call: Call) => Promise<unknown>,
    failed: string,
    refuted?: string,
  ): Promise<void> {
    // One pool's slow backend keeps no other pool waiting.
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
