import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, startTestGateway, type Settings, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send, type Reply, type Wanted } from '../support/https.ts'
import { CLIENT_CN, makePki, type Pki } from '../support/pki.ts'

const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')
/** The time of a reply that needs no backend, on a busy machine. */
const AT_ONCE_MS = 350

let pki: Pki
let fixture: TestGateway
let agent: ReturnType<typeof makeAgent>
const adapters = new Map<string, FaultyAdapter>()

beforeAll(async () => {
  pki = await makePki()
})
afterEach(async () => {
  agent.destroy()
  await fixture.stop()
})

const software = (more: object = {}) => ({
  kind: 'software',
  directory: 'keys',
  passphrase: { file: 'passphrase' },
  ...more,
})

const pool = (name: string, backend: string, more: object = {}) => ({
  name,
  pathPrefix: name,
  clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
  backend,
  keys: { 'aes-1': {} },
  ...more,
})

/** Each backend is a FaultyAdapter. A test finds it by its `concurrency`, which is unique within the test. */
async function start(settings: Settings): Promise<void> {
  fixture = await startTestGateway(pki, [aesKey('aes-1')], settings, async (backend, report) => {
    const adapter = new FaultyAdapter(await openBackend(backend, report))
    adapters.set(String(backend.concurrency), adapter)
    return adapter
  })
  agent = makeAgent(pki)
}

const faultOf = (concurrency: number, fault: FaultyAdapter['fault']) => {
  const adapter = adapters.get(String(concurrency))
  if (adapter === undefined) throw new Error('there is no such adapter')
  adapter.fault = fault
  return adapter
}

interface Timed extends Reply {
  readonly ms: number
}

async function wrap(poolName: string, operation = 'wrapkey', more: Partial<Wanted> = {}): Promise<Timed> {
  const start = performance.now()
  const reply = await send(fixture.port, pki, {
    agent,
    path: `/${poolName}${operation === 'info' ? '' : '/aes-1'}/${operation}?${API}`,
    body: { request_context: CONTEXT, ...(operation === 'wrapkey' && { alg: 'A256KWP', value: VALUE }) },
    ...more,
  })
  return { ...reply, ms: performance.now() - start }
}

const statuses = (replies: readonly Timed[]) => replies.map(({ status }) => status).sort()
const many = (count: number, poolName: string) => Promise.all(Array.from({ length: count }, () => wrap(poolName)))

describe('a backend with more calls than it can serve', () => {
  it('answers the calls for which it has room, and refuses the rest at once with 429 and Retry-After', async () => {
    await start({ backend: software({ concurrency: 2, queue: 3 }), pools: [pool('a', 'store')] })
    await many(20, 'a')
    const adapter = faultOf(2, { delayMs: 500 })
    adapter.calls = []
    const replies = await many(20, 'a')
    expect(statuses(replies)).toEqual([...Array<number>(5).fill(200), ...Array<number>(15).fill(429)])
    expect(adapter.calls).toHaveLength(5)
    for (const reply of replies.filter(({ status }) => status === 429)) {
      expect(reply.json['code']).toBe('Throttled')
      expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1)
      expect(reply.ms).toBeLessThan(500)
    }
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ pool: 'a', backend: 'store' })
  })

  it('is sent no call that could not be answered in time', async () => {
    const limits = { deadlineMs: 300 }
    await start({ limits, backend: software({ concurrency: 1, queue: 100 }), pools: [pool('a', 'store')] })
    const adapter = faultOf(1, { delayMs: 100 })
    for (let i = 0; i < 20; i += 1) await wrap('a')
    adapter.calls = []
    const replies = await many(30, 'a')
    // Three calls fit into the deadline. On a busy machine more fit, because the requests arrive one after the other.
    expect(adapter.calls.length).toBeLessThanOrEqual(8)
    expect(statuses(replies).filter((status) => status === 429).length).toBeGreaterThanOrEqual(22)
  })

  it('serves one pool during the flood of another', async () => {
    const pools = [pool('a', 'store'), pool('b', 'store')]
    await start({ limits: { deadlineMs: 5000 }, backend: software({ concurrency: 1, queue: 100 }), pools })
    await Promise.all([wrap('a'), wrap('b')])
    faultOf(1, { delayMs: 80 })
    const flood = many(25, 'a')
    await wrap('a', 'info')
    const reply = await wrap('b')
    expect([reply.status, statuses(await flood)]).toEqual([200, Array<number>(25).fill(200)])
    // Behind the 25 calls of the flood, the call would take 2 seconds.
    expect(reply.ms).toBeLessThan(1000)
  })
})

describe('a client that sends its bodies slowly', () => {
  const DEADLINE_MS = 600
  const settings = {
    limits: { deadlineMs: DEADLINE_MS },
    backend: software({ concurrency: 16 }),
    pools: [pool('slow', 'store'), pool('well', 'store')],
  }
  const sendSlowly = (count: number) =>
    Promise.all(Array.from({ length: count }, () => wrap('slow', 'wrapkey', { bodyAfterMs: DEADLINE_MS - 100 })))

  it('does not make a backend look down that had too little time', async () => {
    await start(settings)
    await Promise.all([wrap('slow'), wrap('well')])
    const adapter = faultOf(16, { delayMs: 300 })
    adapter.calls = []
    expect(statuses(await sendSlowly(8))).toEqual(Array<number>(8).fill(408))
    expect(adapter.calls).not.toEqual([])
    expect(statuses(await many(4, 'well'))).toEqual([200, 200, 200, 200])
    expect(await fixture.logged('backend_down')).toEqual([])
  })

  it('sends no call to a backend that could not answer in time', async () => {
    await start(settings)
    const adapter = faultOf(16, { delayMs: 200 })
    for (let round = 0; round < 3; round += 1) await many(16, 'slow')
    adapter.calls = []
    expect(statuses(await sendSlowly(8))).toEqual(Array<number>(8).fill(408))
    expect(adapter.calls).toEqual([])
  })
})

describe('a pool with limits', () => {
  it('has no more calls under way than its limit', async () => {
    const pools = [pool('a', 'store', { limits: { concurrency: 1 } })]
    await start({ backend: software({ concurrency: 8, queue: 2 }), pools })
    await wrap('a')
    faultOf(8, { delayMs: 500 })
    const replies = await many(10, 'a')
    expect(statuses(replies)).toEqual([200, 200, 200, ...Array<number>(7).fill(429)])
  })

  it('gets as many answers as its limit allows, then 429, and info always', async () => {
    const pools = [pool('a', 'store', { limits: { requestsPerSecond: 10 } })]
    await start({ backend: software(), pools })
    const replies = await many(30, 'a')
    const refused = replies.filter(({ status }) => status === 429)
    expect(replies.length - refused.length).toBeGreaterThanOrEqual(10)
    expect(replies.length - refused.length).toBeLessThan(20)
    expect(refused[0]?.headers['retry-after']).toBe('1')
    expect((await wrap('a', 'info')).status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect((await wrap('a')).status).toBe(200)
  })
})

describe('a backend that is down', () => {
  const twoBackends = {
    limits: { deadlineMs: 400 },
    backend: software({ concurrency: 11 }),
    backends: { other: software({ concurrency: 12 }) },
    pools: [pool('sick', 'store'), pool('well', 'other')],
  }

  it('and hangs is 408 until its probe says so and then 502 at once, costs no other its latency, and is back within 2 s', async () => {
    await start(twoBackends)
    await Promise.all([wrap('sick'), wrap('well')])
    const adapter = faultOf(11, { delayMs: 60_000 })
    expect(statuses(await many(4, 'sick'))).toEqual([408, 408, 408, 408])
    await vi.waitFor(async () => expect(await fixture.logged('backend_down')).toHaveLength(1), 3000)
    const fast = await wrap('sick')
    expect([fast.status, fast.json['code']]).toEqual([502, 'BadGateway'])
    expect(fast.ms).toBeLessThan(AT_ONCE_MS)
    const others = await many(20, 'well')
    expect(statuses(others)).toEqual(Array<number>(20).fill(200))
    expect(Math.max(...others.map(({ ms }) => ms))).toBeLessThan(AT_ONCE_MS)
    const evidence = { reason: 'DEADLINE_EXCEEDED', detail: 'the deadline passed' }
    expect(await fixture.logged('backend_down')).toMatchObject([{ level: 'error', backend: 'store', ...evidence }])

    adapter.fault = {}
    const back = performance.now()
    while ((await wrap('sick')).status !== 200) await new Promise((resolve) => setTimeout(resolve, 20))
    // The probe that is with the sick backend is given up after 1 s.
    expect(performance.now() - back).toBeLessThan(2500)
    expect(await fixture.logged('backend_up')).toMatchObject([{ level: 'info', backend: 'store' }])
  })
})
