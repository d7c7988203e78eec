import { AggregatorRegistry, Histogram, Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { DurationHistogram } from '../../src/telemetry/duration-histogram.ts'

const NAME = 'a_duration_seconds'
const HELP = 'How long it took.'
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1]

const page = (metrics: object[]) => AggregatorRegistry.aggregate([metrics]).metrics()

it('is on a page what the histogram of prom-client is', async () => {
  const registry = new Registry()
  const theirs = new Histogram({
    name: NAME,
    help: HELP,
    labelNames: ['pool', 'status'],
    buckets,
    registers: [registry],
  })
  const ours = new DurationHistogram(NAME, HELP, ['pool', 'status'])
  expect(await page([ours.toJSON()])).toBe(await page(await registry.getMetricsAsJSON()))
  for (const seconds of [0, ...buckets, ...buckets.map((bound) => 1.01 * bound), 1000]) {
    for (const [pool, status] of [['a', 200], ['a', 404], ['', 200], ['200', 200]] as const) {
      ours.observe(seconds, pool, status)
      theirs.observe({ pool, status }, seconds)
    }
  } // prettier-ignore
  const shown = await page([ours.toJSON()])
  expect(shown).toBe(await page(await registry.getMetricsAsJSON()))
  expect(shown).toContain(`${NAME}_bucket{le="0.25",pool="a",status="404"} 22`)
})
