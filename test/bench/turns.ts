import type { Bench } from './figure.ts'
import type { HttpConnection } from './http-connection.ts'
import type { Server } from './laboratory.ts'
import { closedLoop, openConnections, type Throughput } from './load.ts'
import type { Call } from './request.ts'
import { mean, median } from './statistics.ts'

/** The number of keep-alive connections in the published figures of peers. */
export const CONNECTIONS = 32

export interface Contestant {
  readonly name: string
  readonly server: Server
  readonly calls: readonly Call[]
  /** Whether processes of the server need the load generator's core. */
  readonly besideGenerator?: true
}

/**
 * Runs the contestants in turns, so that other work of the machine affects all of them alike. Each round begins with
 * another contestant, so that garbage of one does not always burden the same next one.
 */
export async function inTurns<T>(
  { plan, progress }: Bench,
  contestants: readonly { readonly name: string; readonly turn: () => Promise<T> }[],
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(contestants.map(({ name }) => [name, []]))
  for (let repetition = 1; repetition <= plan.repetitions; repetition += 1) {
    const first = repetition % contestants.length
    for (const { name, turn } of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      progress(`${name}, ${repetition} of ${plan.repetitions}`)
      results.get(name)?.push(await turn())
    }
  }
  return results
}

/**
 * Slices of a turn, which alternate between contestants: a shared machine changes its pace from one second to the next.
 */
export const SLICES = 6

/** As {@link inTurns}, with the slices of each turn put together by `join`. */
export async function inSlices<T, R>(
  bench: Bench,
  contestants: readonly { readonly name: string; readonly slice: () => Promise<T> }[],
  join: (slices: readonly T[]) => R,
  slicesOfATurn = SLICES,
): Promise<Map<string, R[]>> {
  const { plan } = bench
  const sliced = await inTurns(
    { ...bench, plan: { ...plan, repetitions: plan.repetitions * slicesOfATurn } },
    contestants.map(({ name, slice }) => ({ name, turn: slice })),
  )
  const joined = (slices: readonly T[]) =>
    Array.from({ length: plan.repetitions }, (_, turn) =>
      join(slices.slice(turn * slicesOfATurn, (turn + 1) * slicesOfATurn)),
    )
  return new Map([...sliced].map(([name, slices]) => [name, joined(slices)]))
}

/** Throughput of each contestant on {@link CONNECTIONS} connections, after a warm-up. */
export async function throughputs(
  bench: Bench,
  contestants: readonly Contestant[],
): Promise<Map<string, Throughput[]>> {
  const { plan, progress } = bench
  const connections = new Map<string, HttpConnection[]>()
  const load = ({ name, server, calls, besideGenerator }: Contestant, seconds: number) =>
    closedLoop(connections.get(name) ?? [], calls, seconds, server.pid, { besideServer: besideGenerator })
  for (const contestant of contestants) {
    const { name, server } = contestant
    progress(`${name}, warming up`)
    connections.set(name, await openConnections(server.target, CONNECTIONS))
    await load(contestant, plan.warmUpSeconds)
  }
  try {
    const slices = contestants.map((contestant) => ({
      name: contestant.name,
      slice: () => load(contestant, plan.seconds / SLICES),
    }))
    return await inSlices(bench, slices, oneThroughput)
  } finally {
    for (const connection of [...connections.values()].flat()) connection.close()
  }
}

/**
 * Joins the repetitions, each of which had servers of its own. V8 compiles the same code differently from one process
 * to the next. That changes a figure by several hundredths, which is more than turns of one process differ.
 */
export async function withNewServers<T>(
  { plan, progress, ...bench }: Bench,
  measure: (bench: Bench) => Promise<ReadonlyMap<string, readonly T[]>>,
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>()
  for (let repetition = 1; repetition <= plan.repetitions; repetition += 1) {
    const once: Bench = {
      ...bench,
      plan: { ...plan, repetitions: 1 },
      progress: (text) => progress(`start ${repetition} of ${plan.repetitions}: ${text}`),
    }
    for (const [name, values] of await measure(once)) results.set(name, [...(results.get(name) ?? []), ...values])
  }
  return results
}

function oneThroughput(slices: readonly Throughput[]): Throughput {
  const of = (member: keyof Throughput) => mean(slices.map((slice) => slice[member]))
  const [perSecond, serverBusy] = [of('perSecond'), of('serverBusy')]
  return { perSecond, serverBusy, perCpuSecond: perSecond / serverBusy, childrenBusy: of('childrenBusy') }
}

/** Turns of requests before the first measured one: at one request at a time, V8's compiler starts late. */
const WARM_UP_TURNS = 6

/**
 * The median duration of each turn in milliseconds, one request at a time. `take` gives the duration of each request.
 */
export async function latencies(
  bench: Bench,
  contestants: readonly { readonly name: string; readonly take: (count: number) => Promise<readonly number[]> }[],
): Promise<Map<string, number[]>> {
  const { plan, progress } = bench
  for (const { name, take } of contestants) {
    progress(`${name}, warming up`)
    await take(WARM_UP_TURNS * plan.serialRequests)
  }
  const count = Math.ceil(plan.serialRequests / SLICES)
  const slices = contestants.map(({ name, take }) => ({ name, slice: () => take(count) }))
  return inSlices(bench, slices, (times) => median(times.flat()))
}

/** One member of each repetition's results for `name`. */
export function column<T>(results: ReadonlyMap<string, readonly T[]>, name: string, member: keyof T): number[] {
  return (results.get(name) ?? []).map((row) => Number(row[member]))
}
