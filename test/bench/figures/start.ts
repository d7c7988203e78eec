import { wrapOnToken } from '../direct-token.ts'
import type { Bench, Check, Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight, type GatewayParts } from '../laboratory.ts'
import { closedLoop, openConnections } from '../load.ts'
import { cpuSeconds, hostsOf, programMiB, residentMiB, treeOf } from '../process-tree.ts'
import { makePair } from '../request.ts'
import { mean, spreadOf } from '../statistics.ts'
import { CONNECTIONS, inTurns } from '../turns.ts'

const KEYS = 100
const WORKERS = 8
const alg = 'A256KW'

interface Begun {
  readonly startMs: number
  readonly cpuMs: number
}

/** What is there when a gateway listens. Its store has an RSA key and AES keys. */
async function begin({ laboratory }: Bench, parts: GatewayParts): Promise<Begun> {
  await using gateway = await laboratory.gateway({ ...parts, moreKeys: KEYS - 2 })
  return { startMs: gateway.startMs, cpuMs: 1000 * cpuSeconds(treeOf(gateway.pid)) }
}

interface Memory {
  readonly first: number
  readonly own: number
  readonly ownProgram: number
  readonly host: number
  readonly hostProgram: number
}

/**
 * The memory of the gateway and of one of its HSM hosts after a turn of full speed, of both the part that is pages of the
 * Node.js program file, and the gateway's before its first request, in MiB.
 */
async function memoryAfterLoad({ laboratory, plan }: Bench): Promise<Memory> {
  const { dataKey } = laboratory
  const hsm = await laboratory.softHsm()
  try {
    await using gateway = await laboratory.gateway({ hsm, moreKeys: KEYS - 2 })
    const first = residentMiB([gateway.pid])
    const key = keyNames.aes
    const calls = [
      ...makePair({ pathPrefix: prefixes.software, key, alg }, dataKey, laboratory.wrapped(alg)),
      ...makePair({ pathPrefix: prefixes.hsm, key, alg }, dataKey, wrapOnToken(hsm.token, key, dataKey)),
    ]
    for (const call of calls) await untilRight(gateway, call)
    const connections = await openConnections(gateway.target, CONNECTIONS)
    await closedLoop(connections, calls, plan.seconds, gateway.pid)
    for (const connection of connections) connection.close()
    const hosts = hostsOf(gateway.pid)
    return {
      first,
      own: residentMiB([gateway.pid]),
      ownProgram: programMiB(gateway.pid),
      host: residentMiB(hosts) / hosts.length,
      hostProgram: mean(hosts.map(programMiB)),
    }
  } finally {
    hsm.remove()
  }
}

const atMost = (what: string, target: number, unit: Check['unit'], values: readonly number[]): Check => ({
  what,
  relation: 'at most',
  target,
  unit,
  measured: spreadOf(values),
})

export const start: Figure = {
  name: 'start',
  title: `From the start to listening, software store with ${KEYS} keys; resident memory after full speed`,
  async measure(bench) {
    const ONE = 'one process'
    const EIGHT = `${WORKERS} workers`
    const { laboratory } = bench
    const NODE = 'Node.js with an empty program'
    const empty = await inTurns(bench, [{ name: NODE, turn: () => laboratory.emptyProgram() }])
    const begun = await inTurns(bench, [
      { name: ONE, turn: () => begin(bench, {}) },
      { name: EIGHT, turn: () => begin(bench, { workers: WORKERS }) },
    ])
    const memory = await inTurns(bench, [{ name: 'memory', turn: () => memoryAfterLoad(bench) }])
    const ofStart = (name: string, member: keyof Begun) => (begun.get(name) ?? []).map((one) => one[member])
    const ofMemory = (member: keyof Memory) => (memory.get('memory') ?? []).map((one) => one[member])
    return {
      checks: [
        atMost('start to listening, one process', 500, 'ms', ofStart(ONE, 'startMs')),
        atMost(`start to listening, ${WORKERS} workers`, 1500, 'ms', ofStart(EIGHT, 'startMs')),
        atMost('resident memory of the gateway, one process', 110, 'MiB', ofMemory('own')),
        atMost('resident memory of an HSM host', 50, 'MiB', ofMemory('host')),
      ],
      series: [
        { what: NODE, unit: 'ms', values: empty.get(NODE) ?? [] },
        ...[ONE, EIGHT].map((what) => ({ what, unit: 'ms of CPU', values: ofStart(what, 'cpuMs') })),
        { what: 'the gateway before its first request', unit: 'MiB', values: ofMemory('first') },
        { what: 'the gateway: pages of the Node.js program file', unit: 'MiB', values: ofMemory('ownProgram') },
        { what: 'an HSM host: pages of the Node.js program file', unit: 'MiB', values: ofMemory('hostProgram') },
      ],
      notes: [
        `One process has one core, ${WORKERS} workers have all. The store's passphrase is stretched with N = 2^14; with ` +
          `the 2^17 of a store that the gateway makes, each process takes eight times as long for that. Resident memory ` +
          `counts the pages of the program files too, which all processes share.`,
      ],
    }
  },
}
