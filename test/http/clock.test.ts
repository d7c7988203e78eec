import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'

const HOUR_MS = 3_600_000
const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')

let pki: Pki
let fixture: TestGateway
let agent: ReturnType<typeof makeAgent>

beforeAll(async () => {
  pki = await makePki()
  fixture = await startTestGateway(pki, [aesKey('aes-1')], { limits: { deadlineMs: 10_000, keyCacheMs: 60_000 } })
  agent = makeAgent(pki)
})
afterEach(() => vi.useRealTimers())
afterAll(async () => {
  agent.destroy()
  await fixture.stop()
})

/** Moves the wall clock only. The monotonic clock and timers are unaffected. */
const setClock = (by: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + by })

const wrap = () =>
  send(fixture.port, pki, {
    agent,
    path: `/azureekm/contoso/aes-1/wrapkey?${API}`,
    body: { request_context: CONTEXT, alg: 'A256KWP', value: VALUE },
  })

describe('a clock that jumps', () => {
  it.each([
    ['forward', HOUR_MS],
    ['back', -HOUR_MS],
  ])('costs no request, and affects no measured time: %s', async (_where, by) => {
    expect((await wrap()).status).toBe(200)
    setClock(by)
    for (let i = 0; i < 3; i += 1) expect((await wrap()).status).toBe(200)
    const record = (await fixture.logged('request')).at(-1)
    expect(record?.['total_ms']).toBeGreaterThan(0)
    expect(record?.['total_ms']).toBeLessThan(10_000)
  })

  it('beyond the end of the client’s certificate has it refused on an open connection, until the clock is back', async () => {
    expect((await wrap()).status).toBe(200)
    setClock(100 * 365 * 24 * HOUR_MS)
    expect((await wrap()).status).toBe(401)
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ detail: 'CERT_HAS_EXPIRED' })
    vi.useRealTimers()
    expect((await wrap()).status).toBe(200)
  })
})
