import { AggregatorRegistry } from 'prom-client'
import { expect, it } from 'vitest'
import { Metrics } from '../../src/telemetry/metrics.ts'

const idle = { backends: [], pools: [], connections: { allowed: 0, verified: 0, unverified: 0 }, logLinesDropped: 0 }

async function handshakes(metrics: Metrics): Promise<string[]> {
  const page = await AggregatorRegistry.aggregate([[...(await metrics.snapshot())]]).metrics()
  return page.split('\n').filter((line) => line.startsWith('ekm_tls_handshakes_total'))
}

it('handshakes are counted once, however often somebody looks', async () => {
  const metrics = new Metrics(() => idle)
  expect(await handshakes(metrics)).toEqual([
    'ekm_tls_handshakes_total{result="full",reason=""} 0',
    'ekm_tls_handshakes_total{result="resumed",reason=""} 0',
  ])
  metrics.handshake('full')
  metrics.handshake('resumed')
  metrics.handshake('resumed')
  metrics.handshakeFailed('ECONNRESET')
  await handshakes(metrics)
  metrics.handshake('full')
  expect(await handshakes(metrics)).toEqual([
    'ekm_tls_handshakes_total{result="full",reason=""} 2',
    'ekm_tls_handshakes_total{result="resumed",reason=""} 2',
    'ekm_tls_handshakes_total{result="failed",reason="ECONNRESET"} 1',
  ])
})
