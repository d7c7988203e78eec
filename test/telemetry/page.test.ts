import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client'
import { expect, it, vi } from 'vitest'
import type { Observed } from '../../src/telemetry/gauges.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { merged, pageOf } from '../../src/telemetry/page.ts'
import { ProcessMetrics } from '../../src/telemetry/process-metrics.ts'
import type { Aggregator, MetricData } from '../../src/telemetry/snapshot.ts'

const pools = Array.from({ length: 50 }, (_, index) => `pool-${index}`)
const operations = ['info', 'metadata', 'wrapkey', 'unwrapkey']
const statuses = [200, 400, 401, 403, 404, 408, 413, 429, 499, 500, 502, 503]
const observed: Observed = {
  backends: [{ name: 'hsm', up: true, running: 2, waiting: 1, connections: 4 }],
  pools: pools.map((name) => ({ name, ready: true })),
  keys: pools.map((pool) => ({ pool, listed: 3, usable: 3, unproven: 0, different: 0 })),
  clients: pools.map((pool) => ({ pool, client: `${pool}.example`, days: 30 })),
  connections: { allowed: 1, verified: 0, unverified: 0 },
  logLinesLost: 0,
}
const vocabulary = { operations, statuses, refusals: ['CERT_HAS_EXPIRED'], shedReasons: [], rejections: [] }

it('a scrape reads the gauges’ sources once', async () => {
  let looks = 0
  const metrics = new Metrics(() => ((looks += 1), observed), vocabulary)
  const page = await pageOf([await metrics.snapshot()])
  expect(looks).toBe(1)
  expect(page).toContain('ekm_keys_usable{pool="pool-49"} 3\n')
  expect(page).toContain('ekm_backend_queue_length{backend="hsm"} 1\n')
})

it('the page of 50 pools lets the event loop do other work', async () => {
  const metrics = new Metrics(() => observed, vocabulary)
  metrics.follow({ pools, backends: ['hsm'] })
  for (const pool of pools) {
    for (const operation of operations) {
      for (const algorithm of ['A256KW', 'RSA-OAEP-256']) {
        for (const status of [200, 408, 502]) metrics.request({ pool, operation, algorithm, status }, 0.003)
      }
    }
  }
  const snapshot = await metrics.snapshot()
  // Each reading of the clock is a millisecond later, whatever the machine's speed.
  let clock = 0
  const now = vi.spyOn(performance, 'now').mockImplementation(() => (clock += 1))
  const held: number[] = []
  let turnBegan = 0
  let other = setImmediate(function turn() {
    held.push(clock - turnBegan)
    turnBegan = clock
    other = setImmediate(turn)
  })
  try {
    expect((await pageOf([snapshot])).split('\n').length).toBeGreaterThan(20_000)
  } finally {
    clearImmediate(other)
    now.mockRestore()
  }
  expect(held.length).toBeGreaterThan(100)
  expect(Math.max(...held)).toBeLessThan(10)
})

it('what the process and Node.js are measured by is printed as prom-client prints it', async () => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const theirs = await AggregatorRegistry.aggregate([await registry.getMetricsAsJSON()]).metrics()
  const ours = await pageOf([await new ProcessMetrics().snapshot()])
  // The values are of another moment, and so are the resources and the collections of garbage that have values.
  const names = (page: string) =>
    page
      .split('\n')
      .map((line) => (line.startsWith('#') ? line : line.replace(/ .*/, '')))
      .filter((line) => !/^nodejs_(active_.*|gc_.*)\{/.test(line))
  expect(names(ours)).toEqual(names(theirs))
})

it.each<[Aggregator, number[]]>([
  ['sum', [9]],
  ['min', [2]],
  ['max', [4]],
  ['average', [3]],
  ['first', [3]],
  ['omit', []],
])('three processes come to the %s of their values', (aggregator, wanted) => {
  const of = (value: number): MetricData[] => {
    const series = new Map([['a{b="c"}', [value]]])
    return [{ name: 'a', help: 'A.', type: 'gauge', aggregator, series }]
  }
  const found = merged([of(3), of(2), of(4)]).flatMap(({ series }) => [...(series.get('a{b="c"}') ?? [])])
  expect(found).toEqual(wanted)
})

it('a label escapes characters that would end it or its line', async () => {
  const metrics = new Metrics(() => observed, vocabulary)
  metrics.called('a"b\\c\nd', 'wrap', 'OK', 1)
  const page = await pageOf([await metrics.snapshot()])
  expect(page).toContain('ekm_backend_duration_seconds_count{backend="a\\"b\\\\c\\nd",operation="wrap",code="OK"} 1\n')
})
