import { beforeEach, describe, expect, it } from 'vitest'
import type { Observed } from '../../src/telemetry/gauges.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { pageOf } from '../../src/telemetry/page.ts'
import { ServiceEvents, ServiceMetrics } from '../../src/telemetry/service-metrics.ts'
import type { MetricSnapshot } from '../../src/telemetry/snapshot.ts'
import { Counts } from '../../src/service/workers/counts.ts'

const idle: Observed = {
  backends: [],
  pools: [],
  keys: [],
  clients: [],
  connections: { allowed: 0, verified: 0, unverified: 0 },
  logLinesLost: 0,
}
const vocabulary = {
  operations: ['info', 'wrapkey'],
  statuses: [200, 401, 408],
  refusals: ['CERT_HAS_EXPIRED'],
  shedReasons: ['silent'],
  rejections: ['queue_full'],
}

async function linesOf(snapshots: readonly MetricSnapshot[], start: string): Promise<string[]> {
  return (await pageOf(snapshots)).split('\n').filter((line) => line.startsWith(start))
}

let metrics: Metrics
beforeEach(() => {
  metrics = new Metrics(() => idle, vocabulary)
})
const lines = async (start: string) => linesOf([await metrics.snapshot()], start)

it('the metrics count a handshake once, however often they are read', async () => {
  expect(await lines('ekm_tls_handshakes_total')).toEqual([
    'ekm_tls_handshakes_total{result="full",reason=""} 0',
    'ekm_tls_handshakes_total{result="resumed",reason=""} 0',
  ])
  metrics.handshake('full')
  metrics.handshake('resumed')
  metrics.handshake('resumed')
  metrics.handshakeFailed('ECONNRESET')
  await lines('ekm_tls_handshakes_total')
  metrics.handshake('full')
  expect(await lines('ekm_tls_handshakes_total')).toEqual([
    'ekm_tls_handshakes_total{result="full",reason=""} 2',
    'ekm_tls_handshakes_total{result="resumed",reason=""} 2',
    'ekm_tls_handshakes_total{result="failed",reason="ECONNRESET"} 1',
  ])
})

describe('what alerts ask for', () => {
  it('has the value 0 before anything has happened', async () => {
    metrics.follow({ pools: ['contoso'], backends: ['hsm'] })
    const page = (await pageOf([await metrics.snapshot()])).split('\n')
    const requests = vocabulary.operations.flatMap((operation) =>
      vocabulary.statuses.map(
        (status) => `ekm_requests_total{pool="contoso",operation="${operation}",status="${status}"} 0`,
      ),
    )
    for (const line of [
      ...requests,
      'ekm_requests_total{pool="",operation="",status="401"} 0',
      'ekm_slow_requests_total{pool="contoso",operation="wrapkey"} 0',
      'ekm_authentication_failures_total{pool="contoso",reason="CERT_HAS_EXPIRED"} 0',
      'ekm_authentication_failures_total{pool="contoso",reason="CLIENT_NOT_ALLOWED"} 0',
      'ekm_authentication_failures_total{pool="",reason="OTHER"} 0',
      'ekm_rejected_total{by="pool",name="contoso",reason="rate"} 0',
      'ekm_rejected_total{by="backend",name="hsm",reason="queue_full"} 0',
      'ekm_hsm_hosts_lost_total{backend="hsm"} 0',
      'ekm_hsm_tokens_changed_total{backend="hsm"} 0',
      'ekm_logins_refused_total{backend="hsm"} 0',
      'ekm_connections_shed_total{reason="silent"} 0',
      'ekm_log_lines_dropped_total 0',
    ]) {
      expect(page).toContain(line)
    }
  })

  it('tell of wraps that came later than Azure waits, and of nothing else', async () => {
    metrics.follow({ pools: ['contoso'], backends: [] })
    for (const [operation, seconds] of [
      ['wrapkey', 0.25],
      ['wrapkey', 0.251],
      ['info', 1],
    ] as const) {
      metrics.request({ pool: 'contoso', operation, status: 200 }, seconds)
    }
    expect(await lines('ekm_slow_requests_total')).toEqual([
      'ekm_slow_requests_total{pool="contoso",operation="wrapkey"} 1',
      'ekm_slow_requests_total{pool="contoso",operation="unwrapkey"} 0',
    ])
  })

  it('follows the configuration: remaining series continue, and removed ones disappear', async () => {
    metrics.follow({ pools: ['gone', 'kept'], backends: ['gone-hsm', 'hsm'] })
    for (const pool of ['gone', 'kept']) metrics.request({ pool, operation: 'info', status: 200 }, 0.001)
    metrics.request({ pool: 'kept', status: 401, reason: 'CLIENT_NOT_ALLOWED' }, 0.001)
    metrics.hostLost('hsm')
    metrics.called('gone-hsm', 'wrap', 'OK', 1)
    metrics.rejected('pool', 'gone', 'rate')
    metrics.follow({ pools: ['kept', 'new'], backends: ['hsm'] })
    const page = await pageOf([await metrics.snapshot()])
    expect(page).not.toMatch(/"gone/)
    expect(page).toContain('ekm_requests_total{pool="kept",operation="info",status="200"} 1\n')
    expect(page).toContain('ekm_authentication_failures_total{pool="kept",reason="CLIENT_NOT_ALLOWED"} 1\n')
    expect(page).toContain('ekm_hsm_hosts_lost_total{backend="hsm"} 1\n')
    expect(page).toContain('ekm_requests_total{pool="new",operation="wrapkey",status="408"} 0\n')
  })

  it('has only known reasons, whatever a stranger or OpenSSL invents', async () => {
    const before = await lines('ekm_authentication_failures_total')
    const refused = { status: 401, reason: 'CERTIFICATE_REFUSED' }
    metrics.request({ ...refused, detail: 'CERT_HAS_EXPIRED' }, 0)
    for (let index = 0; index < 20; index += 1) metrics.request({ ...refused, detail: `STRANGE_${index}` }, 0)
    metrics.request(refused, 0)
    metrics.clientRefused('CERT_SIGNATURE_FAILURE')
    const after = await lines('ekm_authentication_failures_total')
    expect(after).toHaveLength(before.length)
    expect(after).toContain('ekm_authentication_failures_total{pool="",reason="CERT_HAS_EXPIRED"} 1')
    expect(after).toContain('ekm_authentication_failures_total{pool="",reason="OTHER"} 22')
  })

  it('has reloads, lost workers and lost log lines of the gateway as a whole', async () => {
    const events = new ServiceEvents()
    const service = new ServiceMetrics(
      '1.0',
      { certificateDaysLeft: () => [], listDaysLeft: () => [], listGaps: () => [], logLinesLost: () => 2 },
      events,
    )
    const worker = new Metrics(() => ({ ...idle, logLinesLost: 3 }), vocabulary)
    const text = async () => service.text([await worker.snapshot()])
    for (const line of [
      'ekm_reloads_total{result="succeeded"} 0',
      'ekm_reloads_total{result="failed"} 0',
      'ekm_last_reload_successful 1',
      'ekm_workers_lost_total 0',
      'ekm_log_lines_dropped_total 5',
    ]) {
      expect((await text()).split('\n')).toContain(line)
    }
    events.reloaded('failed')
    events.workerLost()
    expect(await text()).toContain('ekm_last_reload_successful 0\n')
    events.reloaded('succeeded')
    const page = await text()
    expect(page).toContain('ekm_reloads_total{result="failed"} 1\n')
    expect(page).toContain('ekm_last_reload_successful 1\n')
    expect(page).toContain('ekm_workers_lost_total 1\n')
  })
})

describe('the counts of several workers', () => {
  const OK = 'ekm_requests_total{pool="contoso",operation="info",status="200"}'
  const ask = async (worker: Metrics) => [worker, await worker.snapshot()] as const
  const serve = (times: number): Metrics => {
    const worker = new Metrics(() => idle, vocabulary)
    worker.follow({ pools: ['contoso'], backends: [] })
    for (let time = 0; time < times; time += 1)
      worker.request({ pool: 'contoso', operation: 'info', status: 200 }, 0.001)
    return worker
  }

  it('never fall, neither if one does not answer, nor if one has ended', async () => {
    const counts = new Counts<Metrics>()
    const [one, other] = [serve(2), serve(3)]
    expect(await linesOf(counts.merge(new Map([await ask(one), await ask(other)])), OK)).toEqual([`${OK} 5`])
    const silent = counts.merge(new Map([await ask(one)]))
    expect(await linesOf(silent, OK)).toEqual([`${OK} 5`])
    expect(await linesOf(silent, 'ekm_connections{client="allowed"}')).toEqual(['ekm_connections{client="allowed"} 0'])
    counts.forget(other)
    counts.forget(one)
    const successor = serve(1)
    const merged = counts.merge(new Map([await ask(successor)]))
    expect(await linesOf(merged, OK)).toEqual([`${OK} 6`])
    const duration = 'ekm_request_duration_seconds_count{pool="contoso",operation="info",algorithm="",status="200"}'
    expect(await linesOf(merged, duration)).toEqual([`${duration} 6`])
  })
})
