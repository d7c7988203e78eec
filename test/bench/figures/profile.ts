import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COLLECTION, Modules, OUTSIDE, readProfile, selfTimes, WRITE, type CallFrame } from '../cpu-profile.ts'
import type { Bench, Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight, type Server } from '../laboratory.ts'
import { closedLoop, openConnections } from '../load.ts'
import { makePair } from '../request.ts'
import { sum } from '../statistics.ts'
import { CONNECTIONS, inTurns } from '../turns.ts'

const INTERVAL_US = 250
/** Most of it is valibot: .config/bundle.js leaves no comment above it. */
const REST = 'other modules'

/** The part of a Node.js module, or of a module's path. The first that matches counts. */
const parts: readonly (readonly [part: string, pattern: RegExp])[] = [
  ['Node.js: HTTP', /^node:(_http|internal\/http|https?$)/],
  ['Node.js: TLS, sockets, streams', /^node:(_tls|tls|net|events|internal\/(tls|net|streams?|js_stream|stream_base))/],
  ['Node.js: cipher, bytes', /^node:(crypto|buffer|internal\/(crypto|buffer|encoding))/],
  ['Node.js: promises, timers, the rest', /^node:/],
  ['Hono', /node_modules\/hono\//],
  ['request and reply (src/http), the handler', /\/src\/http\/|bare-server/],
  ['audit record, metrics (src/telemetry)', /\/src\/telemetry\//],
  ['pool, key, capacity, deadline (src/ekm, src/base)', /\/src\/(ekm|base)\//],
  ["the client's verdict (src/tls)", /\/src\/tls\//],
  ['adapter (adapters)', /\/adapters\//],
]
const names: readonly string[] = [...parts.map(([part]) => part), REST, WRITE, OUTSIDE, COLLECTION]

/** For each part of a wrap, its self time in the gateway and in the bare server. */
export const profile: Figure = {
  name: 'profile',
  title: 'Where the time of an A256KWP wrap goes: self times by --cpu-prof, software store, 32 connections',
  async measure(bench) {
    const { laboratory } = bench
    const gateway = (nodeArguments: readonly string[]) => laboratory.gateway({ nodeArguments })
    const https = (nodeArguments: readonly string[]) => laboratory.bareServer('https', nodeArguments)
    const results = await inTurns(bench, [
      { name: 'gateway', turn: () => profiled(bench, gateway) },
      { name: 'bare', turn: () => profiled(bench, https) },
    ])
    const seriesOf = (name: string, turns: readonly ReadonlyMap<string, number>[]) => [
      { what: `${name}: all`, unit: 'µs', values: turns.map((times) => sum(times.values())) },
      ...names.flatMap((part) => {
        const values = turns.map((times) => times.get(part) ?? 0)
        return sum(values) === 0 ? [] : [{ what: `${name}: ${part}`, unit: 'µs', values }]
      }),
    ]
    return {
      checks: [],
      series: [...results].flatMap(([name, turns]) => seriesOf(name, turns)),
      notes: [
        `V8 looks each ${INTERVAL_US} µs what runs, which itself takes time. A function of Node.js's in C++ counts as the ` +
          'part that calls it, except those that write to a socket.',
      ],
    }
  },
}

/** Microseconds of each part for one wrap, of a server of its own that is warm. */
async function profiled(
  { laboratory, plan }: Bench,
  start: (nodeArguments: readonly string[]) => Promise<Server>,
): Promise<ReadonlyMap<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'ekm-gateway-bench-'))
  try {
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    const started = clock()
    let [from, until, answered] = [0, 0, 0]
    {
      await using server = await start(['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${INTERVAL_US}`])
      await untilRight(server, call)
      const connections = await openConnections(server.target, CONNECTIONS)
      await closedLoop(connections, [call], plan.warmUpSeconds, server.pid)
      from = clock()
      const { perSecond } = await closedLoop(connections, [call], plan.seconds, server.pid)
      until = clock()
      answered = (perSecond * (until - from)) / 1e6
      for (const connection of connections) connection.close()
    }
    const found = readProfile(folder)
    if (found.startTime < started || found.startTime > from) throw new Error('the profile has another clock')
    const modules = new Modules()
    const partOf = (frame: CallFrame) => {
      const path = frame.url.startsWith('node:') ? frame.url : modules.pathOf(frame)
      return parts.find(([, pattern]) => pattern.test(path))?.[0] ?? REST
    }
    return new Map([...selfTimes(found, from, until, partOf)].map(([part, time]) => [part, time / answered]))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Microseconds of Linux's monotonic clock, which V8's profiles have too. */
const clock = () => Number(process.hrtime.bigint() / 1000n)
