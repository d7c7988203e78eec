import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, exchangeRaw, makeAgent, send, type Wanted } from '../support/https.ts'
import { makePki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

/** `npm run fuzz` sets a higher number. */
const RUNS = Number(process.env['EKM_FUZZ_RUNS'] ?? 600)

let fixture: TestGateway
let agent: ReturnType<typeof makeAgent>
let socketsBefore: number

beforeAll(async () => {
  socketsBefore = activeSockets()
  fixture = await startTestGateway(await makePki(), [aesKey('aes-1')])
  agent = makeAgent(fixture.pki)
})

afterAll(async () => {
  agent.destroy()
  await fixture.stop()
})

const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '__proto__', 'constructor', 'null', '\0', '../..', '%2e%2e', 'é', '\ud800', 'A'.repeat(5000)),
)
const base64url = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('base64url'))
/** Any JSON, mostly close to what the API expects. */
const body = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record(
      {
        request_context: fc.oneof(
          fc.constant(CONTEXT),
          fc.jsonValue(),
          fc.record({ correlation_id: oddText, pool_name: oddText }),
        ),
        alg: fc.oneof(fc.constantFrom('A256KW', 'A256KWP', 'RSA-OAEP', 'RSA-OAEP-256'), fc.jsonValue()),
        value: fc.oneof(base64url, oddText, fc.jsonValue()),
      },
      { requiredKeys: [] },
    ),
  },
  { weight: 1, arbitrary: fc.jsonValue() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
)
const segment = fc.oneof(
  fc.constantFrom(
    'azureekm',
    'contoso',
    'aes-1',
    'info',
    'metadata',
    'wrapkey',
    'unwrapkey',
    '',
    '.',
    '..',
    '%00',
    '*',
    ':key',
  ),
  fc.string({ unit: fc.constantFrom(...'aZ09-._~%!$&()*+,;=:@[]|^`{}"<>\\'), maxLength: 70 }),
)
const path = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .constantFrom('info', 'aes-1/metadata', 'aes-1/wrapkey', 'aes-1/unwrapkey')
      .map((operation) => `/azureekm/contoso/${operation}`),
  },
  { weight: 1, arbitrary: fc.array(segment, { maxLength: 6 }).map((segments) => `/${segments.join('/')}`) },
)
const query = fc.oneof(
  { weight: 3, arbitrary: fc.constant(`?${API}`) },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: fc.constantFrom(...'api-version=0.1&?%#+preview'), maxLength: 40 })
      .map((text) => `?${text}`),
  },
)
const header = fc.oneof(
  fc.constantFrom('application/json', 'application/json;x', 'text/json', '', 'application/json, application/json'),
  fc.string({ unit: fc.constantFrom(...'abc/;=, \t"'), maxLength: 30 }),
)
const wanted: fc.Arbitrary<Wanted> = fc.record({
  method: fc.oneof(
    { weight: 6, arbitrary: fc.constant('POST') },
    fc.constantFrom('GET', 'HEAD', 'PUT', 'TRACE', 'QUERY', 'PROPFIND'),
  ),
  path: fc.tuple(path, query).map((parts) => parts.join('').replaceAll('#', '%23')),
  headers: fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.record({ 'content-type': header, 'x-odd': header }, { requiredKeys: [] }) },
  ),
  body,
})

describe('a request of any shape', () => {
  it('is answered with 200 or a ProxyError, never with a 5xx', { timeout: 600_000 }, async () => {
    const before = (await fixture.logged('request')).length
    const statuses = new Map<number, number>()
    let sent = 0
    await fc.assert(
      fc.asyncProperty(wanted, async (request) => {
        sent += 1
        const { method = 'POST' } = request
        const reply = await send(fixture.port, fixture.pki, { agent, ...request })
        statuses.set(reply.status, (statuses.get(reply.status) ?? 0) + 1)
        expect(reply.status).toBeLessThan(500)
        expect(reply.headers['content-type']).toBe('application/json')
        if (method === 'HEAD' || reply.status === 200) return
        expect(reply.json).toEqual({ code: expect.any(String) as string, message: expect.any(String) as string })
        expect(Object.keys(reply.json)).toHaveLength(2)
      }),
      { numRuns: RUNS },
    )
    // The generator gets past the first check, and each request left one record.
    expect([...statuses.keys()].sort()).toEqual(expect.arrayContaining([200, 400, 404, 405, 415]))
    await eventually(async () => expect(await fixture.logged('request')).toHaveLength(before + sent))
  })

  it('does no harm even if it is not HTTP at all', { timeout: 600_000 }, async () => {
    const line = fc.constantFrom(
      'POST /azureekm/contoso/info?api-version=0.1-preview HTTP/1.1\r\n',
      'POST / HTTP/1.0\r\n',
      'Host: localhost\r\n',
      'Content-Length: 2\r\n',
      'Content-Length: 99999999999999999999\r\n',
      'Transfer-Encoding: chunked\r\n',
      'Transfer-Encoding: gzip\r\n',
      'Content-Type: application/json\r\n',
      'Expect: 100-continue\r\n',
      'Upgrade: h2c\r\nConnection: Upgrade\r\n',
      'Connection: close\r\n',
      ': \r\n',
      '\r\n',
      '{}',
      '5\r\nhello\r\n0\r\n\r\n',
    )
    const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof({ weight: 5, arbitrary: line }, noise), { maxLength: 12 }), async (pieces) => {
        // An end that lets the server see that the request is over, and close the connection.
        const text = await exchangeRaw(
          fixture.port,
          fixture.pki,
          Buffer.from(`${pieces.join('')}\r\n\r\n\x01\r\n\r\n`, 'latin1'),
        )
        for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d+)/g)) expect(Number(status)).toBeLessThan(500)
        for (const [, type] of text.matchAll(/\r\ncontent-type: ([^\r]*)/gi)) expect(type).toBe('application/json')
        expect(text).toMatch(/^HTTP\/1\.1 \d{3} /)
      }),
      { numRuns: Math.ceil(RUNS / 10) },
    )
  })

  it('leaves no connection open', async () => {
    agent.destroy()
    await eventually(() => expect(activeSockets()).toBeLessThanOrEqual(socketsBefore))
    const reply = await send(fixture.port, fixture.pki, {
      path: `/azureekm/contoso/info?${API}`,
      body: { request_context: CONTEXT },
    })
    expect(reply.status).toBe(200)
  })
})

const activeSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
