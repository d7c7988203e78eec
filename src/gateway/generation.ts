import { OperatorError, type KeyAdapter, type Report } from '../../adapters/contract/index.ts'
import { AwaitedAdapter, openOrAwait } from '../backends/awaited-adapter.ts'
import { isReport } from '../backends/incidents.ts'
import { rowOf, type BackendConfig, type openBackend } from '../backends/index.ts'
import { digestOf } from '../config/compare.ts'
import type { Config } from '../config/schema.ts'
import { Backend, type BackendObserver } from '../ekm/backend/backend.ts'
import { Call } from '../ekm/backend/call.ts'
import { Deadlines } from '../base/deadlines.ts'
import type { Pool } from '../ekm/pool.ts'
import { Admission } from '../http/admission.ts'
import { createApp, type AppOptions } from '../http/app.ts'
import type { Served } from '../http/server.ts'
import type { BackendEvents } from './backend-events.ts'
import { buildPools } from './pools.ts'
import type { RefusedLogins } from './refused-logins.ts'
import { shareBackend, shareLimits, type Share } from './share.ts'
import { reportTo } from '../telemetry/log.ts'
import type { ClientTrust } from '../tls/client.ts'
import { Trust } from '../tls/trust.ts'

const PROBE_MS = 3000

/** Everything that one configuration makes: complete and immutable. A reload makes another one and swaps the two. */
export interface Generation extends Served {
  readonly config: Config
  readonly limits: Config['limits']
  readonly pools: readonly Pool[]
  readonly trust: ClientTrust
  readonly backends: ReadonlyMap<string, OpenBackend>
}

export interface OpenBackend {
  readonly adapter: KeyAdapter
  readonly backend: Backend
  /** Digests of its settings, and of the limits on its use. */
  readonly digests: { readonly adapter: string; readonly backend: string }
}

/** What all generations of a process share. */
export interface Surroundings extends Pick<AppOptions, 'clientOf' | 'telemetry'> {
  readonly share: Share
  readonly open: typeof openBackend
  /** Keeps reloads from logins that were refused. */
  readonly logins: RefusedLogins
  /** Is told what happens to backends. */
  readonly events: BackendEvents
}

/**
 * Opens what `config` names and `before` has not open. Without `before`, a backend that cannot be reached is tried
 * again later. What `before` has stays as it is in any case.
 * @throws OperatorError, and nothing new is left open
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
      backends.set(name, await openOne(name, settings, limits.keyCacheMs, surroundings, before))
    }
    const generation = compose(config, limits, backends, surroundings, before)
    await generation.trust.prepare()
    return generation
  } catch (error) {
    await closeBackends({ backends }, before)
    throw error
  }
}

/** Reuses the open backend if its settings are the same. */
async function openOne(
  name: string,
  settings: BackendConfig,
  keyCacheMs: number,
  surroundings: Surroundings,
  before: Generation | undefined,
): Promise<OpenBackend> {
  const { open, share, logins } = surroundings
  const old = before?.backends.get(name)
  const own = shareBackend(settings, share)
  const { concurrency, queue, ...rest } = own
  const digests = { adapter: digestOf(rest), backend: digestOf({ concurrency, queue, keyCacheMs }) }
  if (old?.digests.adapter === digests.adapter && old.digests.backend === digests.backend) return old
  const report = reportOf(name, settings, surroundings)
  const opener = () => logins.open(own, () => open(own, report))
  // A reload is refused if it cannot open a backend. A start continues with what it can open, and so does the reload that
  // corrects a backend which is still away.
  const isAwaited = before === undefined || (old?.adapter instanceof AwaitedAdapter && old.adapter.away)
  const openNew = () => (isAwaited ? openOrAwait(opener, report) : opener())
  const isSame = old?.digests.adapter === digests.adapter
  const adapter = isSame ? old.adapter : await openNew()
  if (old !== undefined && !isSame) await assertNoLoss(name, old.adapter, adapter)
  const observer = observe(name, surroundings)
  return { adapter, digests, backend: new Backend({ name, adapter, concurrency, queue, keyCacheMs, observer }) }
}

/**
 * A backend that answers is kept if it would not answer with the new settings. A backend that cannot be reached has
 * nothing to lose: the new settings may be the correction.
 */
async function assertNoLoss(name: string, old: KeyAdapter, adapter: KeyAdapter): Promise<void> {
  if ((await answers(adapter)) || !(await answers(old))) return
  await adapter.close()
  throw new OperatorError(
    'BACKEND_UNUSABLE',
    `backend ${name} works with its present settings, but not with the new ones; the log says why`,
  )
}

async function answers(adapter: KeyAdapter): Promise<boolean> {
  const call = new Call(PROBE_MS)
  return call
    .run(adapter.probe(call))
    .then(
      () => true,
      () => false,
    )
    .finally(() => call.end())
}

/** Logs and counts an adapter's reports. */
function reportOf(
  backend: string,
  settings: BackendConfig,
  { telemetry: { log, metrics }, events }: Surroundings,
): Report {
  const report = reportTo(events.watching(backend, log), backend)
  const { hostLost, tokenChanged, loginRefused } = rowOf(settings).incidents
  return (level, event, fields) => {
    report(level, event, fields)
    if (isReport(hostLost, event, fields)) metrics.hostLost(backend)
    if (isReport(tokenChanged, event, fields)) metrics.tokenChanged(backend)
    if (isReport(loginRefused, event, fields)) metrics.loginRefused(backend)
  }
}

function observe(backend: string, { telemetry: { log: writer, metrics }, events }: Surroundings): BackendObserver {
  const log = events.watching(backend, writer)
  return {
    called: (operation, code, elapsedMs) => metrics.called(backend, operation, code, elapsedMs),
    rejected: (rejection) => metrics.rejected('backend', backend, rejection),
    changed: (evidence) => {
      if (evidence === undefined) log.info('backend_up', { backend })
      else log.error('backend_down', { backend, reason: evidence.code, detail: evidence.message })
    },
    keyChanged: (operation, key, isAnswered) => {
      if (isAnswered) log.info('key_answers', { backend, key, operation })
      else log.warn('key_silent', { backend, key, operation })
    },
  }
}

function compose(
  config: Config,
  limits: Config['limits'],
  backends: ReadonlyMap<string, OpenBackend>,
  surroundings: Surroundings,
  before: Generation | undefined,
): Generation {
  const { clientOf, telemetry, share } = surroundings
  const open = new Map([...backends].map(([name, { backend }]) => [name, backend]))
  const pools = buildPools(config, open, telemetry.metrics, share)
  const admission = new Admission(config.listen.clientAuth)
  const deadlines = new Deadlines(limits.deadlineMs)
  const { maxBodyBytes } = limits
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
    deadlines,
    app: createApp({ pools, deadlines, maxBodyBytes, admission, clientOf, telemetry }),
  }
}

type HasBackends = Pick<Generation, 'backends'>

/** Closes the backends that `one` has open and `other` has not. */
export async function closeBackends(one: HasBackends, other?: HasBackends): Promise<void> {
  const kept = [...(other?.backends.values() ?? [])]
  for (const { adapter, backend } of [...one.backends.values()].reverse()) {
    if (!kept.some((candidate) => candidate.backend === backend)) backend.stop()
    if (!kept.some((candidate) => candidate.adapter === adapter)) await adapter.close()
  }
}
