import type { Bench } from './figure.ts'
import type { HttpConnection } from './http-connection.ts'
import type { Server } from './laboratory.ts'
import { closedLoop, openConnections, type Throughput } from './load.ts'
import type { Call } from './request.ts'

/** As many keep-alive connections as the published figures of peers were measured with. */
export const CONNECTIONS = 32

export interface Contestant {
  readonly name: string
  readonly server: Server
  readonly calls: readonly Call[]
}

/** Lets each have its turn, again and again, so that whatever else the machine does meets all of them alike. */
export async function inTurns<T>(
  { plan, progress }: Bench,
  contestants: readonly { readonly name: string; readonly turn: () => Promise<T> }[],
): Promise<Map<string, T[]>> {
  const results = new Map<string, T[]>(contestants.map(({ name }) => [name, []]))
  for (let repetition = 1; repetition <= plan.repetitions; repetition += 1) {
    for (const { name, turn } of contestants) {
      progress(`${name}, ${repetition} of ${plan.repetitions}`)
      results.get(name)?.push(await turn())
    }
  }
  return results
}

/** A turn is cut into so many, which alternate: a shared machine changes its pace from one second to the next. */
const SLICES = 6

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
      turn: () => closedLoop(connections.get(name) ?? [], calls, plan.seconds / SLICES, server.pid),
    }))
    const sliced = await inTurns({ ...bench, plan: { ...plan, repetitions: plan.repetitions * SLICES } }, slices)
    return new Map([...sliced].map(([name, results]) => [name, joined(results)]))
  } finally {
    for (const connection of [...connections.values()].flat()) connection.close()
  }
}

/** The slices of each turn as one. */
function joined(slices: readonly Throughput[]): Throughput[] {
  const turns = Array.from({ length: slices.length / SLICES }, (_, turn) =>
    slices.slice(turn * SLICES, (turn + 1) * SLICES),
  )
  const mean = (turn: readonly Throughput[], member: keyof Throughput) =>
    turn.reduce((sum, slice) => sum + slice[member], 0) / turn.length
  return turns.map((turn) => {
    const [perSecond, serverBusy] = [mean(turn, 'perSecond'), mean(turn, 'serverBusy')]
    return { perSecond, serverBusy, perCpuSecond: perSecond / serverBusy, generatorBusy: mean(turn, 'generatorBusy') }
  })
}

/** What was measured of `name`, one member of each repetition. */
export function column<T>(results: ReadonlyMap<string, readonly T[]>, name: string, member: keyof T): number[] {
  return (results.get(name) ?? []).map((row) => Number(row[member]))
}
