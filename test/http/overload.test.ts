import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, startTestGateway, type Settings, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send, type Reply, type Wanted } from '../support/https.ts'
import { CLIENT_CN, makePki, type Pki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')
/** A busy machine keeps to these limits too. */
const PATIENT = { deadlineMs: 10_000, keyCacheMs: 60_000 }

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

function wrap(poolName: string, operation = 'wrapkey', more: Partial<Wanted> = {}): Promise<Reply> {
  return send(fixture.port, pki, {
    agent,
    path: `/${poolName}${operation === 'info' ? '' : '/aes-1'}/${operation}?${API}`,
    body: { request_context: CONTEXT, ...(operation === 'wrapkey' && { alg: 'A256KWP', value: VALUE }) },
    ...more,
  })
}

const statuses = (replies: readonly Reply[]) => replies.map(({ status }) => status).sort()

/** Sends calls at the same time. `answered` has the replies so far, in the order in which they came. */
function sendMany(count: number, poolName: string) {
  const answered: Reply[] = []
  const one = async () => void answered.push(await wrap(poolName))
  const all = Promise.all(Array.from({ length: count }, one)).then(() => answered)
  return { answered, all }
}
const many = (count: number, poolName: string) => sendMany(count, poolName).all

/** Holds the calls of a backend until `release`. */
function hold(concurrency: number) {
  let release: () => void = () => undefined
  const until = new Promise<void>((resolve) => (release = resolve))
  const adapter = faultOf(concurrency, { until, ofKeys: true })
  adapter.calls = []
  return { adapter, release }
}

describe('a backend with more calls than it can serve', () => {
  it('answers the calls for which it has room, and refuses the rest at once with 429 and Retry-After', async () => {
    await start({ limits: PATIENT, backend: software({ concurrency: 2, queue: 3 }), pools: [pool('a', 'store')] })
    await many(20, 'a')
    const { adapter, release } = hold(2)
    const { answered, all } = sendMany(20, 'a')
    // No other call is answered yet.
    await eventually(() => expect(answered).toHaveLength(15))
    expect(statuses(answered)).toEqual(Array<number>(15).fill(429))
    for (const reply of answered) {
      expect(reply.json['code']).toBe('Throttled')
      expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    }
    release()
    expect(statuses(await all)).toEqual([...Array<number>(5).fill(200), ...Array<number>(15).fill(429)])
    expect(adapter.calls).toHaveLength(5)
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ pool: 'a', backend: 'store' })
  })

  it('is sent no call that could not be answered in time', async () => {
    const [deadlineMs, delayMs] = [300, 100]
    await start({
      limits: { deadlineMs },
      backend: software({ concurrency: 1, queue: 100 }),
      pools: [pool('a', 'store')],
    })
    const adapter = faultOf(1, { delayMs })
    for (let i = 0; i < 20; i += 1) await wrap('a')
    adapter.calls = []
    const began = performance.now()
    const replies = await many(30, 'a')
    // Three calls fit into the deadline. On a busy machine more fit, because the requests arrive one after the other.
    const mostCalls = 4 + Math.ceil((performance.now() - began) / delayMs)
    expect(adapter.calls.length).toBeLessThanOrEqual(mostCalls)
    expect(statuses(replies).filter((status) => status === 429).length).toBeGreaterThanOrEqual(30 - mostCalls)
  })

  it('serves one pool during the flood of another', async () => {
    const pools = [pool('a', 'store'), pool('b', 'store')]
    await start({ limits: PATIENT, backend: software({ concurrency: 1, queue: 100 }), pools })
    await Promise.all([wrap('a'), wrap('b')])
    const { release } = hold(1)
    const waiting = (count: number) =>
      eventually(() => expect(fixture.gateway.status().backends[0]?.waiting).toBe(count))
    const flood = many(25, 'a')
    await waiting(24)
    const other = wrap('b')
    await waiting(25)
    release()
    expect([(await other).status, statuses(await flood)]).toEqual([200, Array<number>(25).fill(200)])
    const inOrder = (await fixture.logged('request')).slice(2).map((record) => record['pool'])
    expect(inOrder).toHaveLength(26)
    // The call that was held, and at most one that took its turn.
    expect(inOrder.indexOf('b')).toBeLessThanOrEqual(2)
  })
})

describe('a client that sends its bodies slowly', () => {
  /** Half a second is left after the body, which is much on a busy machine and too little for the backend. */
  const [DEADLINE_MS, BODY_MS, SERVICE_MS] = [1500, 1000, 900]
  const settings = {
    limits: { deadlineMs: DEADLINE_MS },
    backend: software({ concurrency: 16 }),
    pools: [pool('slow', 'store'), pool('well', 'store')],
  }
  /** Sends the bodies a while after the gateway has all heads. */
  async function sendSlowly(count: number): Promise<Reply[]> {
    const heads = eventually(() => expect(fixture.gateway.requestsUnderWay).toBe(count))
    const bodyAfter = heads.then(() => sleep(BODY_MS))
    return Promise.all(Array.from({ length: count }, () => wrap('slow', 'wrapkey', { bodyAfter })))
  }

  it('does not make a backend look down that had too little time', async () => {
    await start(settings)
    await Promise.all([wrap('slow'), wrap('well')])
    const adapter = faultOf(16, { delayMs: SERVICE_MS })
    adapter.calls = []
    expect(statuses(await sendSlowly(8))).toEqual(Array<number>(8).fill(408))
    expect(adapter.calls).not.toEqual([])
    expect(statuses(await many(4, 'well'))).toEqual([200, 200, 200, 200])
    expect(await fixture.logged('backend_down')).toEqual([])
  })

  it('sends no call to a backend that could not answer in time', async () => {
    await start(settings)
    const adapter = faultOf(16, { delayMs: SERVICE_MS })
    for (let round = 0; round < 3; round += 1) await many(16, 'slow')
    adapter.calls = []
    expect(statuses(await sendSlowly(8))).toEqual(Array<number>(8).fill(408))
    expect(adapter.calls).toEqual([])
  })
})

describe('a pool with limits', () => {
  it('has no more calls under way than its limit', async () => {
    const pools = [pool('a', 'store', { limits: { concurrency: 1 } })]
    await start({ limits: PATIENT, backend: software({ concurrency: 8, queue: 2 }), pools })
    await wrap('a')
    const { adapter, release } = hold(8)
    const { answered, all } = sendMany(10, 'a')
    await eventually(() => expect(answered).toHaveLength(7))
    expect(adapter.calls).toHaveLength(1)
    release()
    expect(statuses(await all)).toEqual([200, 200, 200, ...Array<number>(7).fill(429)])
  })

  it('gets as many answers as its limit allows, then 429, and info always', async () => {
    const pools = [pool('a', 'store', { limits: { requestsPerSecond: 10 } })]
    await start({ limits: PATIENT, backend: software(), pools })
    // The connections are opened by requests that the limit does not count.
    await Promise.all(Array.from({ length: 60 }, () => wrap('a', 'info')))
    const began = performance.now()
    const replies = await many(60, 'a')
    const mostAnswers = 11 + Math.ceil((performance.now() - began) / 100)
    const refused = replies.filter(({ status }) => status === 429)
    expect(replies.length - refused.length).toBeGreaterThanOrEqual(10)
    expect(replies.length - refused.length).toBeLessThan(mostAnswers)
    expect(refused[0]?.headers['retry-after']).toBe('1')
    expect((await wrap('a', 'info')).status).toBe(200)
    await sleep(1000)
    expect((await wrap('a')).status).toBe(200)
  })
})

describe('a backend that is down', () => {
  const twoBackends = {
    limits: { deadlineMs: 1500, keyCacheMs: 60_000 },
    backend: software({ concurrency: 21 }),
    backends: { other: software({ concurrency: 22 }) },
    pools: [pool('sick', 'store'), pool('well', 'other')],
  }

  it('and hangs is 408 until its probe says so and then 502 at once, makes no other wait, and is back by itself', async () => {
    await start(twoBackends)
    await Promise.all([wrap('sick'), many(20, 'well')])
    const adapter = faultOf(21, { delayMs: 60_000 })
    const hanging = sendMany(4, 'sick')
    expect(statuses(await many(20, 'well'))).toEqual(Array<number>(20).fill(200))
    expect(hanging.answered).toEqual([])
    expect(statuses(await hanging.all)).toEqual([408, 408, 408, 408])
    await eventually(async () => expect(await fixture.logged('backend_down')).toHaveLength(1))
    adapter.calls = []
    const fast = await wrap('sick')
    expect([fast.status, fast.json['code']]).toEqual([502, 'BadGateway'])
    // It waited for nothing, because nothing was asked.
    expect(adapter.calls).toEqual([])
    expect(statuses(await many(20, 'well'))).toEqual(Array<number>(20).fill(200))
    const evidence = { reason: 'DEADLINE_EXCEEDED', detail: 'the deadline passed' }
    expect(await fixture.logged('backend_down')).toMatchObject([{ level: 'error', backend: 'store', ...evidence }])

    adapter.fault = {}
    // test/ekm/backend.test.ts has the time after which it is back.
    await eventually(async () => expect((await wrap('sick')).status).toBe(200))
    expect(await fixture.logged('backend_up')).toMatchObject([{ level: 'info', backend: 'store' }])
  })
})
