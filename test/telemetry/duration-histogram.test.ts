import { AggregatorRegistry, Histogram, Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { DurationHistogram } from '../../src/telemetry/duration-histogram.ts'
import { pageOf } from '../../src/telemetry/page.ts'

const NAME = 'a_duration_seconds'
const HELP = 'How long it took.'
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1]

const theirPage = (metrics: object[]) => AggregatorRegistry.aggregate([metrics]).metrics()

it('the duration histogram prints what prom-client’s histogram prints', async () => {
  const registry = new Registry()
  const theirs = new Histogram({
    name: NAME,
    help: HELP,
    labelNames: ['pool', 'status'],
    buckets,
    registers: [registry],
  })
  const ours = new DurationHistogram(NAME, HELP, ['pool', 'status'])
  expect(await pageOf([[ours.data()]])).toBe(await theirPage(await registry.getMetricsAsJSON()))
  for (const seconds of [0, ...buckets, ...buckets.map((bound) => 1.01 * bound), 1000]) {
    for (const [pool, status] of [
      ['a', 200],
      ['a', 404],
      ['', 200],
      ['200', 200],
    ] as const) {
      ours.observe(seconds, pool, status)
      theirs.observe({ pool, status }, seconds)
    }
  }
  const shown = await pageOf([[ours.data()]])
  expect(shown).toBe(await theirPage(await registry.getMetricsAsJSON()))
  expect(shown).toContain(`${NAME}_bucket{le="0.25",pool="a",status="404"} 22`)
})
