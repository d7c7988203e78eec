import type { Bench } from './figure.ts'
import type { HttpConnection } from './http-connection.ts'
import type { Server } from './laboratory.ts'
import { closedLoop, openConnections, type Throughput } from './load.ts'
import type { Call } from './request.ts'
import { mean, median } from './statistics.ts'

/** As many keep-alive connections as the published figures of peers were measured with. */
export const CONNECTIONS = 32

export interface Contestant {
  readonly name: string
  readonly server: Server
  readonly calls: readonly Call[]
}

/**
 * Lets each have its turn, again and again, so that whatever else the machine does meets all of them alike. Another begins
 * each time: what one leaves behind, garbage for instance, does not always meet the same one.
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

/** A turn is cut into so many slices, which alternate: a shared machine changes its pace from one second to the next. */
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

/** Throughput of each on {@link CONNECTIONS} connections, after a warm-up. */
export async function throughputs(
  bench: Bench,
  contestants: readonly Contestant[],
): Promise<Map<string, Throughput[]>> {
  const { plan, progress } = bench
  const connections = new Map<string, HttpConnection[]>()
  for (const { name, server, calls } of contestants) {
    progress(`${name}, warming up`)
    const opened = await openConnections(server.target, CONNECTIONS)
    connections.set(name, opened)
    await closedLoop(opened, calls, plan.warmUpSeconds, server.pid)
  }
  try {
    const slices = contestants.map(({ name, server, calls }) => ({
      name,
      slice: () => closedLoop(connections.get(name) ?? [], calls, plan.seconds / SLICES, server.pid),
    }))
    return await inSlices(bench, slices, oneThroughput)
  } finally {
    for (const connection of [...connections.values()].flat()) connection.close()
  }
}

/**
 * Puts together what each repetition measured with servers of its own. What V8 makes of the same code differs from one
 * start of a process to the next, by several hundredths: more than one turn differs from another.
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
  return { perSecond, serverBusy, perCpuSecond: perSecond / serverBusy, generatorBusy: of('generatorBusy') }
}

/** One request at a time wakes V8's compiler late: so many turns' requests come before the first that counts. */
const WARM_UP_TURNS = 6

/** The median of what a request took, one at a time, in milliseconds: of each turn. `take` gives the time of each. */
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

/** What was measured of `name`, one member of each repetition. */
export function column<T>(results: ReadonlyMap<string, readonly T[]>, name: string, member: keyof T): number[] {
  return (results.get(name) ?? []).map((row) => Number(row[member]))
}
