import { once } from 'node:events'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AdapterErrorCode } from '../../adapters/contract/index.ts'
import { openBackend } from '../../src/backends/index.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, openSocket, send } from '../support/https.ts'
import { makePki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const DEADLINE_MS = 1000
const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')

let adapter: FaultyAdapter
let fixture: TestGateway

beforeAll(async () => {
  const settings = { limits: { deadlineMs: DEADLINE_MS, keyCacheMs: 60_000 } }
  fixture = await startTestGateway(await makePki(), [aesKey('aes-1')], settings, async (...backend) => {
    adapter = new FaultyAdapter(await openBackend(...backend))
    return adapter
  })
})

beforeEach(() => {
  adapter.fault = {}
  adapter.calls = []
  adapter.buffers.length = 0
})

afterAll(() => fixture.stop())

const call = (operation: string, members: object = {}) =>
  send(fixture.port, fixture.pki, {
    path: `/azureekm/contoso/aes-1/${operation}?${API}`,
    body: { request_context: CONTEXT, ...members },
  })
const wrap = () => call('wrapkey', { alg: 'A256KWP', value: VALUE })

describe('a backend that fails', () => {
  const rows: readonly (readonly [AdapterErrorCode, number, string])[] = [
    ['KEY_NOT_FOUND', 404, 'KeyNotFound'],
    ['KEY_DISABLED', 403, 'KeyDisabled'],
    ['OPERATION_FORBIDDEN', 403, 'Forbidden'],
    ['KEY_UNSUPPORTED', 403, 'Forbidden'],
    ['KEY_AMBIGUOUS', 403, 'Forbidden'],
    ['ALGORITHM_UNSUPPORTED', 400, 'BadRequest'],
    ['INPUT_INVALID', 400, 'BadRequest'],
    ['CIPHERTEXT_INVALID', 400, 'BadRequest'],
    ['BACKEND_BUSY', 429, 'Throttled'],
    ['DEADLINE_EXCEEDED', 408, 'RequestTimeout'],
    ['BACKEND_UNAVAILABLE', 502, 'BadGateway'],
    ['CLOSED', 503, 'ServiceUnavailable'],
  ]

  it.each(rows)('with %s is answered with %i %s, and its own message stays inside', async (fail, status, code) => {
    adapter.fault = { fail, ofKeys: true }
    for (const reply of [await wrap(), await call('metadata')]) {
      expect([reply.status, reply.json['code']]).toEqual([status, code])
      expect(reply.text).not.toContain('a fault of the test')
    }
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ status, code, reason: fail })
  })

  it('because it is busy states when to retry', async () => {
    adapter.fault = { fail: 'BACKEND_BUSY', retryAfterSeconds: 7, ofKeys: true }
    expect((await wrap()).headers['retry-after']).toBe('7')
    adapter.fault = { fail: 'BACKEND_BUSY', ofKeys: true }
    expect((await wrap()).headers['retry-after']).toBe('1')
  })

  it.each([
    ['an error', new Error(`unexpected ${VALUE}`)],
    ['text', `unexpected ${VALUE}`],
    ['nothing', null],
    ['an object with a response', { getResponse: () => new Response('leak') }],
  ])('by a bug that throws %s is 500, and is logged without its message', async (_what, bug) => {
    adapter.fault = { bug, ofKeys: true }
    const reply = await wrap()
    expect([reply.status, reply.json]).toEqual([
      500,
      { code: 'InternalServerError', message: 'an internal error occurred' },
    ])
    expect(await fixture.logged('internal_error')).not.toHaveLength(0)
    expect(await fixture.logText()).not.toContain(VALUE)
  })
})

describe('a request’s deadline', () => {
  it('causes 408 when it passes, whatever the backend does, and late results are zeroed', async () => {
    await wrap()
    adapter.buffers.length = 0
    let answer: () => void = () => undefined
    adapter.fault = { until: new Promise<void>((resolve) => (answer = resolve)), ofKeys: true }
    const reply = await wrap()
    expect([reply.status, reply.json['code']]).toEqual([408, 'RequestTimeout'])
    expect(adapter.lastSignal?.aborted).toBe(true)
    expect(adapter.buffers).toHaveLength(1)
    answer()
    await eventually(() => expect(adapter.buffers).toHaveLength(2))
    await eventually(() => expect(adapter.buffers.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true))
  })

  it('includes the body: a missing body is 408, and the connection is closed', async () => {
    const socket = await openSocket(fixture.port, fixture.pki)
    socket.write(
      `POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`,
    )
    const start = performance.now()
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    expect(performance.now() - start).toBeGreaterThan(DEADLINE_MS - 20)
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 408 [^]*connection: close/i)
    await once(socket, 'close')
  })
})

describe('the buffers', () => {
  it('that held a data key are zeroed when the reply is made', async () => {
    const wrapped = (await wrap()).json['value']
    expect((await call('unwrapkey', { alg: 'A256KWP', value: wrapped })).json['value']).toBe(VALUE)
    const [given, , unwrapped] = adapter.buffers
    expect([given?.length, unwrapped?.length]).toEqual([32, 32])
    for (const bytes of [given, unwrapped]) expect(bytes?.every((byte) => byte === 0)).toBe(true)
  })
})

describe('a client that goes away', () => {
  it('stops its call, and has a status of its own in the log', async () => {
    adapter.fault = { until: new Promise(() => undefined), ofKeys: true }
    const socket = await openSocket(fixture.port, fixture.pki)
    const body = JSON.stringify({ request_context: CONTEXT, alg: 'A256KWP', value: VALUE })
    socket.write(
      `POST /azureekm/contoso/aes-1/wrapkey?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    )
    await eventually(() => expect(adapter.calls).toContain('wrap'))
    socket.destroy()
    await eventually(() => expect(adapter.lastSignal?.reason).toMatchObject({ code: 'CANCELLED' }))
    await eventually(async () => {
      expect((await fixture.logged('request')).at(-1)).toMatchObject({ status: 499, reason: 'CANCELLED' })
    })
  })
})

describe('pipelined requests', () => {
  const request = (body: string) =>
    `POST /azureekm/contoso/aes-1/wrapkey?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  const body = JSON.stringify({ request_context: CONTEXT, alg: 'A256KWP', value: VALUE })

  it('are answered in order, and bytes behind them that are not HTTP spoil no answer', async () => {
    const socket = await openSocket(fixture.port, fixture.pki)
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.write(`${request(body)}${request('{}')}`)
    await eventually(() => expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400']))
    adapter.fault = { delayMs: 50 }
    text = ''
    socket.write(`${request(body)}nonsense\r\n\r\n`)
    await once(socket, 'close')
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200'])
  })

  it('leave no running call when their connection dies', async () => {
    adapter.fault = { until: new Promise(() => undefined), ofKeys: true }
    const socket = await openSocket(fixture.port, fixture.pki)
    socket.write(`${request(body)}${request(body)}`)
    await eventually(() => expect(adapter.calls.filter((name) => name === 'wrap')).toHaveLength(2))
    socket.destroy()
    await eventually(() => expect(fixture.gateway.requestsUnderWay).toBe(0))
  })
})

describe('remembered key descriptions', () => {
  it('serve wrap and unwrap, while metadata asks again', async () => {
    await call('metadata')
    adapter.calls = []
    await wrap()
    await wrap()
    expect(adapter.calls).toEqual(['wrap', 'wrap'])
    adapter.calls = []
    await call('metadata')
    expect(adapter.calls).toEqual(['describe'])
  })

  it('are forgotten when the backend refuses the key', async () => {
    adapter.fault = { fail: 'KEY_DISABLED' }
    await call('metadata')
    adapter.fault = {}
    adapter.calls = []
    await wrap()
    expect(adapter.calls).toEqual(['describe', 'wrap'])
  })

  it('decide on a wrong algorithm and a wrong length before any operation of the backend', async () => {
    adapter.calls = []
    const replies = [
      await call('wrapkey', { alg: 'A256KW', value: Buffer.alloc(20).toString('base64url') }),
      await call('unwrapkey', { alg: 'RSA-OAEP', value: VALUE }),
      await call('wrapkey', { alg: 'A256KW', value: `${VALUE}=` }),
    ]
    expect(replies.map(({ status }) => status)).toEqual([400, 400, 400])
    expect(adapter.calls).toEqual([])
  })

  it('that are old delay no request: the backend itself decides whether the key may be used', async () => {
    let backend: FaultyAdapter | undefined
    const limits = { deadlineMs: DEADLINE_MS, keyCacheMs: 0 }
    const own = await startTestGateway(fixture.pki, [aesKey('aes-1')], { limits }, async (...opening) => {
      backend = new FaultyAdapter(await openBackend(...opening))
      return backend
    })
    const post = (operation: string, members: object = {}) =>
      send(own.port, own.pki, {
        path: `/azureekm/contoso/aes-1/${operation}?${API}`,
        body: { request_context: CONTEXT, ...members },
      })
    await post('metadata')
    const before = backend?.calls.length
    expect((await post('wrapkey', { alg: 'A256KWP', value: VALUE })).status).toBe(200)
    expect(backend?.calls.slice(before)).toEqual(['wrap'])
    // The gateway asks the backend again before it refuses a request for an old description.
    expect((await post('unwrapkey', { alg: 'RSA-OAEP', value: VALUE })).status).toBe(400)
    expect(backend?.calls.slice(before)).toEqual(['wrap', 'describe'])
    await own.stop()
  })

  it('are not used by info', async () => {
    adapter.calls = []
    const reply = await send(fixture.port, fixture.pki, {
      path: `/azureekm/contoso/info?${API}`,
      body: { request_context: CONTEXT },
    })
    expect([reply.status, adapter.calls]).toEqual([200, []])
  })
})
