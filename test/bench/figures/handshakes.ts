import type { Figure } from '../figure.ts'
import { HttpConnection } from '../http-connection.ts'
import { keyNames, prefixes, untilRight, type Server } from '../laboratory.ts'
import { awake } from '../load.ts'
import { cpuSeconds, treeOf } from '../process-tree.ts'
import { makePair } from '../request.ts'
import { mean, paired, ratio, spreadOf } from '../statistics.ts'
import { inSlices } from '../turns.ts'

const AT_ONCE = 8
/** A slice takes a tenth of a second: a shared machine changes its pace by more than the few percent in question. */
const SLICES = 50
/**
 * Turns for each repetition of the other figures: V8's full collection comes once in a turn or two, and is 3 % of the
 * turn.
 */
const TURNS = 2
const kinds = ['full', 'resumed'] as const
type Kind = (typeof kinds)[number]

export const handshakes: Figure = {
  name: 'handshakes',
  title: 'new TLS 1.3 connections with a client certificate',
  async measure(bench) {
    const { laboratory, plan } = bench
    const turns = TURNS * plan.repetitions
    await using gateway = await laboratory.gateway()
    await using bare = await laboratory.bareServer('https')
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    const servers = [
      { name: 'gateway', server: gateway },
      { name: 'bare node:https', server: bare },
    ]
    const count = Math.ceil(plan.handshakes / SLICES)
    const contestants = kinds.flatMap((kind) =>
      servers.map(({ name, server }) => ({ name: `${name}, ${kind}`, slice: () => connect(server, kind, count) })),
    )
    for (const { server } of servers) await untilRight(server, call)
    for (let warmUp = 0; warmUp < SLICES; warmUp += 1) for (const { slice } of contestants) await slice()
    const results = await inSlices({ ...bench, plan: { ...plan, repetitions: turns } }, contestants, mean, SLICES)
    const cost = (name: string) => results.get(name) ?? []
    const added = (kind: Kind) =>
      paired(cost(`gateway, ${kind}`), cost(`bare node:https, ${kind}`), (a, b) => (100 * (a - b)) / b)
    return {
      checks: [
        {
          what: 'resumed connections for each full one, by CPU time',
          relation: 'at least',
          target: 1.7,
          unit: '×',
          measured: spreadOf(paired(cost('gateway, full'), cost('gateway, resumed'), ratio)),
        },
        ...kinds.map((kind) => ({
          what: `${kind}: CPU time added to a bare node:https server`,
          relation: 'at most' as const,
          target: 10,
          unit: '%' as const,
          measured: spreadOf(added(kind)),
        })),
      ],
      series: contestants.map(({ name }) => ({ what: name, unit: 'ms of server CPU', values: cost(name) })),
      notes: [
        `${turns} turns of ${plan.handshakes} connections, ${AT_ONCE} at a time. Each is closed as soon as it is open.`,
      ],
    }
  },
}

/** Milliseconds of the server's CPU time for each connection. */
async function connect({ pid, target }: Server, kind: Kind, count: number): Promise<number> {
  let session: Buffer | undefined
  let left = count
  const one = async () => {
    const connection = await HttpConnection.open(target, { session: kind === 'resumed' ? session : undefined })
    await connection.end()
    return connection
  }
  // The first connection brings the ticket.
  session = (await one()).session
  const server = treeOf(pid)
  const before = cpuSeconds(server)
  const run = async () => {
    while (left > 0) {
      left -= 1
      const { resumed, session: latest } = await one()
      if (resumed !== (kind === 'resumed')) throw new Error(`a connection that should be ${kind} is not`)
      session = latest ?? session
    }
  }
  await awake(() => Promise.all(Array.from({ length: AT_ONCE }, run)))
  return (1000 * (cpuSeconds(server) - before)) / count
}
