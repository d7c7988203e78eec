import { setTimeout as sleep } from 'node:timers/promises'
import { SteadyStream, type Exchange, type Failure } from '../support/steady-stream.ts'
import { recordsIn, type LogLine } from '../support/gateway.ts'
import type { GatewayStatus } from '../../src/gateway/status.ts'
import { BACKEND, type pools, streams, type Site, type Stream } from './site.ts'

/** The rate that one machine bears with everything in one process and three gateways side by side. */
const PER_SECOND = 15
const BEFORE_MS = 250
/** A fault counts as over after this long without a lost request. */
const CALM_MS = 500
const PATIENCE_MS = 15_000
const LOOK_EACH_MS = 150

export interface Fault<S extends Site> {
  readonly what: string
  /** The calls of the stream `touched`. */
  readonly calls?: 'aes' | 'rsa' | 'damaged'
  readonly perSecond?: number
  readonly begin: (site: S) => void | Promise<void>
  /** Absent for a fault that passes by itself. */
  readonly end?: (site: S) => void | Promise<void>
  /** The minimum. A fault that takes the backend away lasts until the backend is known to be down. */
  readonly lastsMs?: number
  /** Whether the backend is ready meanwhile; absent where that depends on timing. */
  readonly ready?: boolean
}

/** The results of one stream from the beginning of the fault on. */
export interface Seen {
  readonly exchanges: readonly Exchange[]
  readonly failures: readonly Failure[]
}

type Pool = (typeof pools)[number]

/** The answer of `/readyz` at one time. */
interface Look {
  readonly ready: boolean
  readonly pools: Readonly<Record<Pool, boolean>>
}

/** The gauges of the metrics. */
interface Gauges {
  readonly up: boolean
  readonly ready: Readonly<Record<Pool, boolean>>
}

export interface Outcome {
  readonly streams: Readonly<Record<Stream, Seen>>
  readonly looks: { readonly during: readonly Look[]; readonly after: Look }
  readonly gauges: { readonly during: Gauges; readonly after: Gauges }
  /** Events without those of single requests. */
  readonly events: readonly LogLine[]
  /** Requests by pool and status, as clients saw them and as the metrics count them. */
  readonly counts: { readonly seen: Counts; readonly told: Counts }
  /** From the end of the fault, or from its beginning if it has no end, until the last lost request was sent. */
  readonly backMs: number
}

type Counts = Readonly<Record<string, number>>

/** Drives one fault under steady traffic, and records everything that is observed. */
export async function drive<S extends Site>(site: S, fault: Fault<S>): Promise<Outcome> {
  const { calls } = site
  const touched = calls[fault.calls ?? 'aes']
  const beside = fault.calls === 'rsa' ? [] : calls.rsa
  const asked = {
    ...calls.others,
    touched,
    'other key': [...calls.others['other key'], ...beside],
  }
  await untilServed(site)
  const before = await counted(site)
  const logged = (await site.gateway.logText()).length
  const running = streamsOf((stream) => {
    const rate = stream === 'touched' ? fault.perSecond : undefined
    return new SteadyStream(site.connections[stream], asked[stream], rate ?? PER_SECOND)
  })
  await sleep(BEFORE_MS)
  const began = performance.now()
  await fault.begin(site)
  const during = await looksFor(fault.lastsMs ?? (fault.end === undefined ? 600 : 1000), site)
  const duringGauges = await gaugesOnceTold(site, fault.ready)
  during.push(await look(site))
  const ended = fault.end === undefined ? began : performance.now()
  await fault.end?.(site)
  // A damaged value is always right to get 400.
  const valid = streams.filter((stream) => stream !== 'touched' || fault.calls !== 'damaged')
  const lastLost = await untilCalm(
    valid.map((stream) => running[stream]),
    ended,
  )
  await Promise.all(Object.values(running).map((stream) => stream.stop()))
  const text = await site.gateway.logText()
  return {
    streams: streamsOf((stream) => since(running[stream], began)),
    looks: { during, after: await look(site) },
    gauges: { during: duringGauges, after: await gauges(site) },
    events: eventsIn(text.slice(logged)),
    counts: { seen: seenBy(running), told: difference(await counted(site), before) },
    backMs: Math.max(0, lastLost - ended),
  }
}

const streamsOf = <T>(make: (stream: Stream) => T): Record<Stream, T> =>
  Object.fromEntries(streams.map((stream) => [stream, make(stream)])) as Record<Stream, T>

const since = ({ exchanges, failures }: SteadyStream, time: number): Seen => ({
  exchanges: exchanges.filter(({ ended }) => ended >= time),
  failures: failures.filter(({ ended }) => ended >= time),
})

/** Resolves when all later calls are answered rightly, and the gateway reports that it is well. */
async function untilServed(site: Site): Promise<void> {
  const { aes, rsa, others } = site.calls
  const [connection] = site.connections.touched
  if (connection === undefined) throw new Error('no connection')
  const end = performance.now() + PATIENCE_MS
  for (const call of [aes, rsa, ...Object.values(others)].flat()) {
    for (;;) {
      const reply = await connection.exchange(call.request)
      if (reply.status === 200) break
      if (performance.now() > end) throw new Error(`not served before the fault: ${reply.status} ${reply.body}`)
      await sleep(20)
    }
  }
  while (!(await look(site)).pools.here) await sleep(20)
}

/** The time at which the last lost request was sent. */
async function untilCalm(running: readonly SteadyStream[], ended: number): Promise<number> {
  const last = () => Math.max(ended, ...running.map(({ failures }) => failures.at(-1)?.sent ?? 0))
  while (performance.now() < Math.min(last() + CALM_MS, ended + PATIENCE_MS)) await sleep(LOOK_EACH_MS)
  return last()
}

async function looksFor(ms: number, site: Site): Promise<Look[]> {
  const looks: Look[] = []
  for (const end = performance.now() + ms; performance.now() < end; await sleep(LOOK_EACH_MS)) {
    looks.push(await look(site))
  }
  return looks
}

const ask = async ({ adminPort }: Site, path: string) => fetch(`http://127.0.0.1:${adminPort}${path}`)

async function look(site: Site): Promise<Look> {
  const reply = await ask(site, '/readyz')
  const { pools: told } = (await reply.json()) as GatewayStatus
  const isReady = (pool: Pool) => told.find(({ name }) => name === pool)?.ready === true
  return { ready: reply.status === 200, pools: ofPools(isReady) }
}

async function gauges(site: Site): Promise<Gauges> {
  const text = await (await ask(site, '/metrics')).text()
  const is = (series: string) => text.includes(`${series} 1\n`)
  return {
    up: is(`ekm_backend_up{backend="${BACKEND}"}`),
    ready: ofPools((pool) => is(`ekm_pool_ready{pool="${pool}"}`)),
  }
}

/** A busy machine notices late. */
async function gaugesOnceTold(site: Site, up: boolean | undefined): Promise<Gauges> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const told = await gauges(site)
    if (up === undefined || told.up === up || performance.now() > end) return told
    await sleep(LOOK_EACH_MS)
  }
}

const ofPools = (isReady: (pool: Pool) => boolean): Readonly<Record<Pool, boolean>> => ({
  here: isReady('here'),
  beside: isReady('beside'),
  elsewhere: isReady('elsewhere'),
})

const eventsIn = (text: string): LogLine[] =>
  text
    .split('\n')
    .flatMap((line) => [...line.matchAll(/"event":"([a-z_]+)"/g)].map(([, event = '']) => recordsIn(line, event)))
    .flat()
    .filter(({ event }) => event !== 'request')

/** Requests by pool and status, from the metrics. */
async function counted(site: Site): Promise<Counts> {
  const text = await (await ask(site, '/metrics')).text()
  const counts: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const [, pool, status, count] =
      /^ekm_request_duration_seconds_count\{pool="(\w+)",.*status="(\d+)"\} (\d+)$/.exec(line) ?? []
    if (pool === undefined) continue
    const name = `${pool} ${status}`
    counts[name] = (counts[name] ?? 0) + Number(count)
  }
  return counts
}

const poolOf: Readonly<Record<Stream, (typeof pools)[number]>> = {
  touched: 'here',
  'other key': 'here',
  'other pool': 'beside',
  'other backend': 'elsewhere',
}

function seenBy(running: Readonly<Record<Stream, SteadyStream>>): Counts {
  const counts: Record<string, number> = {}
  for (const stream of streams) {
    for (const { status } of running[stream].exchanges) {
      const name = `${poolOf[stream]} ${status}`
      counts[name] = (counts[name] ?? 0) + 1
    }
  }
  return counts
}

function difference(after: Counts, before: Counts): Counts {
  const names = Object.keys(after)
  return Object.fromEntries(
    names.map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)] as const).filter(([, count]) => count > 0),
  )
}
