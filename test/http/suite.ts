import {
  constants,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestKey } from '../contract/harness.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, exchangeRaw, makeAgent, openSocket, send, type Reply, type Wanted } from '../support/https.ts'
import { makePki } from '../support/pki.ts'
import type { BackendHarness, ProvidedBackend } from './harness.ts'

const BASE = '/azureekm/contoso'
const DATA_KEY = Buffer.from('d47a6b39e1c85f02d47a6b39e1c85f02d47a6b39e1c85f02d47a6b39e1c85f02', 'hex')
const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

const sizes = [2048, 3072, 4096] as const
const rsaPairs = sizes.map((bits) => ({ bits, name: `rsa-${bits}` }))

const aes = (name: string, more: Partial<TestKey> = {}): TestKey => ({
  name,
  material: { kty: 'oct', k: randomBytes(32) },
  ...more,
})

/** Runs side by side: one operation may need many round trips, but the backend serves several callers. */
const atOnce = (count: number, check: (index: number) => Promise<void>) =>
  Promise.all(Array.from({ length: count }, (_, index) => check(index)))

/**
 * What the gateway promises beyond `ekm-gateway conformance`, over TLS sockets on any backend: its own codes, messages
 * and audit records, and failures that look alike.
 */
export function describeApi(harness: BackendHarness): void {
  const pairs = harness.rsa ? rsaPairs : []
  let backend: ProvidedBackend
  let fixture: TestGateway
  let agent: ReturnType<typeof makeAgent>
  const privateKeys = new Map<string, KeyObject>()
  const privateKeyOf = (name: string) => privateKeys.get(name) ?? expect.fail(`no key ${name}`)

  beforeAll(async () => {
    const pki = await makePki()
    const keys: TestKey[] = [aes('aes-1'), aes('aes-2')]
    if (harness.canDisable) keys.push(aes('off', { disabled: true }))
    if (harness.dates.includes('expires')) keys.push(aes('expired', { expires: new Date(Date.now() - 1000) }))
    if (harness.dates.includes('notBefore')) keys.push(aes('early', { notBefore: new Date(Date.now() + 60_000) }))
    for (const { bits, name } of pairs) {
      const jwk = await rsaKey(bits)
      privateKeys.set(name, createPrivateKey({ key: { ...jwk }, format: 'jwk' }))
      keys.push({ name, material: { kty: 'RSA', bits, jwk } })
    }
    backend = await harness.provide(keys)
    // Other tests judge the duration of calls.
    fixture = await startTestGateway(pki, [], { backend: backend.settings, limits: { deadlineMs: 10_000 } })
    agent = makeAgent(pki)
  })

  afterAll(async () => {
    agent.destroy()
    await fixture.stop()
    await backend.remove()
  })

  const ask = (wanted: Wanted) => send(fixture.port, fixture.pki, { agent, ...wanted })
  const post = (operation: string, members: object = {}) =>
    ask({ path: `${BASE}/${operation}?${API}`, body: { request_context: CONTEXT, ...members } })
  const wrap = (key: string, alg: string, value: string) => post(`${key}/wrapkey`, { alg, value })
  const unwrap = (key: string, alg: string, value: string) => post(`${key}/unwrapkey`, { alg, value })
  const valueOf = ({ status, json }: Reply) => {
    expect({ status, keys: Object.keys(json) }).toEqual({ status: 200, keys: ['value'] })
    return String(json['value'])
  }

  function expectProxyError(reply: Reply, status: number, code: string, message?: RegExp) {
    expect({ status: reply.status, code: reply.json['code'], members: Object.keys(reply.json) }).toEqual({
      status,
      code,
      members: ['code', 'message'],
    })
    expect(reply.headers['content-type']).toBe('application/json')
    expect(typeof reply.json['message']).toBe('string')
    if (message) expect(reply.json['message']).toMatch(message)
    expect(reply.text).not.toContain(b64(DATA_KEY))
  }

  describe('the gateway’s four calls', () => {
    it('answer info from the proxy alone', async () => {
      const reply = await post('info')
      expect(reply.status).toBe(200)
      expect(reply.headers['content-type']).toBe('application/json')
      expect(reply.json).toEqual({
        api_version: '0.1-preview',
        proxy_vendor: 'ekm-gateway',
        proxy_name: expect.stringMatching(/^ekm-gateway \d+\.\d+\.\d+$/) as string,
        ekm_vendor: harness.product.vendor,
        ekm_product: harness.product.name,
      })
    })

    it('describe an AES key in metadata', async () => {
      expect((await post('aes-1/metadata')).json).toEqual({
        key_type: 'oct',
        key_size: 256,
        key_ops: ['wrapKey', 'unwrapKey'],
      })
    })

    it.each(pairs)('describe $name in metadata by n and e, unsigned, without leading zeros', async ({ name, bits }) => {
      const { n, e } = createPublicKey(privateKeyOf(name)).export({ format: 'jwk' })
      expect((await post(`${name}/metadata`)).json).toEqual({
        key_type: 'RSA',
        key_size: bits,
        key_ops: ['wrapKey', 'unwrapKey'],
        n,
        e: 'AQAB',
      })
      expect(e).toBe('AQAB')
    })

    it.each(['A256KW', 'A256KWP'])('wrap and unwrap a data key by %s, each time the same', async (alg) => {
      const wrapped = valueOf(await wrap('aes-1', alg, b64(DATA_KEY)))
      expect(Buffer.from(wrapped, 'base64url')).toHaveLength(40)
      expect(valueOf(await wrap('aes-1', alg, b64(DATA_KEY)))).toBe(wrapped)
      expect(valueOf(await unwrap('aes-1', alg, wrapped))).toBe(b64(DATA_KEY))
    })

    it('accept every length from 1 to 72 bytes by A256KWP', async () => {
      await atOnce(72, async (index) => {
        const length = index + 1
        const dataKey = randomBytes(length)
        const wrapped = valueOf(await wrap('aes-1', 'A256KWP', b64(dataKey)))
        expect(valueOf(await unwrap('aes-1', 'A256KWP', wrapped))).toBe(b64(dataKey))
      })
    })

    describe.each(pairs)('with $name', ({ name, bits }) => {
      const algorithms = [
        { alg: 'RSA-OAEP', oaepHash: 'sha1', overhead: 42 },
        { alg: 'RSA-OAEP-256', oaepHash: 'sha256', overhead: 66 },
      ]
      it.each(algorithms)(
        'wrap by $alg from 1 byte to the longest value, so that anyone with the private key can unwrap',
        async ({ alg, oaepHash, overhead }) => {
          const privateKey = privateKeyOf(name)
          const padding = constants.RSA_PKCS1_OAEP_PADDING
          for (const length of [1, 32, bits / 8 - overhead]) {
            const dataKey = randomBytes(length)
            const wrapped = Buffer.from(valueOf(await wrap(name, alg, b64(dataKey))), 'base64url')
            expect(wrapped).toHaveLength(bits / 8)
            expect(privateDecrypt({ key: privateKey, padding, oaepHash }, wrapped).equals(dataKey)).toBe(true)
          }
          const most = bits / 8 - overhead
          const reply = await wrap(name, alg, b64(randomBytes(most + 1)))
          expectProxyError(reply, 400, 'BadRequest', new RegExp(`${most + 1} bytes.*1 to ${most} bytes`))
        },
      )
    })
  })

  describe('the gateway refuses', () => {
    type Row = readonly [what: string, wanted: Wanted, status: number, code: string, message?: RegExp]
    const good = { request_context: CONTEXT, alg: 'A256KW', value: b64(DATA_KEY) }
    const path = `${BASE}/aes-1/wrapkey`
    const json = (body: unknown): Wanted => ({ path: `${path}?${API}`, body })
    const rsaRows: readonly Row[] = [
      [
        'A256KW with an RSA key',
        { ...json(good), path: `${BASE}/rsa-2048/wrapkey?${API}` },
        400,
        'BadRequest',
        /needs a key of type oct/,
      ],
      [
        'RSA-OAEP of no bytes',
        { ...json({ ...good, alg: 'RSA-OAEP', value: '' }), path: `${BASE}/rsa-2048/wrapkey?${API}` },
        400,
        'BadRequest',
        /1 to 214 bytes/,
      ],
      ...[0, 255, 257].map(
        (length) =>
          [
            `an RSA value of ${length} bytes`,
            {
              path: `${BASE}/rsa-2048/unwrapkey?${API}`,
              body: { ...good, alg: 'RSA-OAEP', value: b64(Buffer.alloc(length, 7)) },
            },
            400,
            'BadRequest',
            /exactly 256 bytes/,
          ] as const,
      ),
    ]
    const rows: readonly Row[] = [
    ['an unknown route', { path: `/nowhere?${API}`, body: good }, 404, 'NotFound'],
    ['an unknown operation', { path: `${BASE}/aes-1/sign?${API}`, body: good }, 404, 'NotFound'],
    ['a trailing slash', { path: `${BASE}/info/?${API}`, body: good }, 404, 'NotFound'],
    ['a prefix in other case', { path: `/AzureEKM/contoso/info?${API}`, body: good }, 404, 'NotFound'],
    ['a percent-encoded path', { path: `${BASE}/inf%6f?${API}`, body: good }, 404, 'NotFound'],
    ['the root', { path: '/', body: good }, 404, 'NotFound'],
    ['no api-version', { path, body: good }, 400, 'BadRequest', /api-version is required.*0\.1-preview/],
    ['another api-version', { path: `${path}?api-version=7.4`, body: good }, 400, 'BadRequest', /not supported/],
    ['api-version twice', { path: `${path}?${API}&${API}`, body: good }, 400, 'BadRequest', /repeated/],
    ['an empty api-version', { path: `${path}?api-version=`, body: good }, 400, 'BadRequest', /api-version/],
    ['text/plain', { ...json(good), headers: { 'content-type': 'text/plain' } }, 415, 'UnsupportedMediaType'],
    ['application/jsonp', { ...json(good), headers: { 'content-type': 'application/jsonp' } }, 415, 'UnsupportedMediaType'],
    ['a compressed body', { ...json(good), headers: { 'content-encoding': 'gzip' } }, 415, 'UnsupportedMediaType'],
    ['a body that is not JSON', json('{"alg":'), 400, 'BadRequest', /not JSON/],
    ['an empty body', json(''), 400, 'BadRequest', /not JSON/],
    ['a body that is not UTF-8', json(Buffer.from([0x22, 0xff, 0x22])), 400, 'BadRequest', /UTF-8/],
    ...[null, 'text', 1, true, [good]].map(
      (body) => [`a JSON ${JSON.stringify(body).slice(0, 8)}`, json(JSON.stringify(body)), 400, 'BadRequest', /object/] as const,
    ),
    ['no request_context', json({ ...good, request_context: undefined }), 400, 'BadRequest', /request_context is required/],
    ['a request_context that is text', json({ ...good, request_context: 'x' }), 400, 'BadRequest', /request_context must be an object/],
    ['no correlation_id', json({ ...good, request_context: { pool_name: 'p' } }), 400, 'BadRequest', /correlation_id is required/],
    ['no pool_name', json({ ...good, request_context: { correlation_id: 'c' } }), 400, 'BadRequest', /pool_name is required/],
    ['a numeric request_id', json({ ...good, request_context: { ...CONTEXT, request_id: 1 } }), 400, 'BadRequest', /request_id must be a string/],
    ['no alg', json({ ...good, alg: undefined }), 400, 'BadRequest', /alg/],
    ['no value', json({ ...good, value: undefined }), 400, 'BadRequest', /value is required/],
    ['a numeric value', json({ ...good, value: 1 }), 400, 'BadRequest', /value must be a string/],
    ...['A128KW', 'a256kw', 'RSA1_5', '', 'constructor', '__proto__', 'toString'].map(
      (alg) => [`alg ${alg}`, json({ ...good, alg }), 400, 'BadRequest', /alg must be one of A256KW, A256KWP, RSA-OAEP, RSA-OAEP-256/] as const,
    ),
    ...['RSA-OAEP', 'RSA-OAEP-256'].map(
      (alg) => [`${alg} with an AES key`, json({ ...good, alg }), 400, 'BadRequest', /needs a key of type RSA/] as const,
    ),
    ...[
      ['padding', b64(DATA_KEY) + '='],
      ['white space', b64(DATA_KEY).replace(/^(.)/, '$1 ')],
      ['a line feed', b64(DATA_KEY) + '\n'],
      ['+', '+'.repeat(44)],
      ['/', '/'.repeat(44)],
      ['leftover bits', b64(randomBytes(31)).slice(0, -1) + 'h'],
      ['one character too many', 'A'.repeat(45)],
      ['hex with a colon', 'aa:bb'],
      ['other alphabets', 'ÄÖÜ'.repeat(8)],
    ].map(([what, value]) => [`value with ${what}`, json({ ...good, value }), 400, 'BadRequest', /base64url without padding/] as const),
    ...[0, 1, 8, 15, 17, 20, 33].map(
      (length) => [`A256KW of ${length} bytes`, json({ ...good, value: b64(randomBytes(length)) }), 400, 'BadRequest', new RegExp(`value has ${length} bytes.*at least 16 bytes, in multiples of 8`)] as const,
    ),
    ['A256KWP of no bytes', json({ ...good, alg: 'A256KWP', value: '' }), 400, 'BadRequest', /at least 1 byte/],
    ...(harness.rsa ? rsaRows : []),
    ['an unknown key', { path: `${BASE}/nobody/metadata?${API}`, body: good }, 404, 'KeyNotFound'],
    ['a key in other case', { path: `${BASE}/AES-1/wrapkey?${API}`, body: good }, 404, 'KeyNotFound'],
    ['a key name that is too long', { path: `${BASE}/${'k'.repeat(65)}/metadata?${API}`, body: good }, 400, 'BadRequest', /1 to 64 characters/],
    ['a key name with a dot', { path: `${BASE}/a.b/metadata?${API}`, body: good }, 400, 'BadRequest', /1 to 64 characters/],
    ['a percent-encoded key name', { path: `${BASE}/aes%2D1/metadata?${API}`, body: good }, 400, 'BadRequest', /1 to 64 characters/],
    ...(harness.canDisable ? ([
    ['a disabled key', { path: `${BASE}/off/wrapkey?${API}`, body: good }, 403, 'KeyDisabled'],
    ['metadata of a disabled key', { path: `${BASE}/off/metadata?${API}`, body: good }, 403, 'KeyDisabled'],
    ] satisfies Row[]) : []),
    ...(harness.dates.includes('expires') ? ([['an expired key', { path: `${BASE}/expired/unwrapkey?${API}`, body: good }, 403, 'KeyDisabled']] satisfies Row[]) : []),
    ...(harness.dates.includes('notBefore') ? ([['a key that is not yet active', { path: `${BASE}/early/wrapkey?${API}`, body: good }, 403, 'KeyDisabled']] satisfies Row[]) : []),
    ['a body that is too large', json({ ...good, padding: 'x'.repeat(65_536) }), 413, 'PayloadTooLarge', /65536 bytes/],
    ['an expectation', { ...json(good), headers: { expect: '200-maybe' } }, 417, 'ExpectationFailed'],
    ['a huge header', { ...json(good), headers: { 'x-large': 'x'.repeat(20_000) } }, 431, 'RequestHeaderFieldsTooLarge'],
  ] /* prettier-ignore */ // one case a line

    const cases = rows.map(([what, wanted, status, code, message]) => ({ what, wanted, status, code, message }))
    it.each(cases)('$what', async ({ wanted, status, code, message }) => {
      expectProxyError(await ask(wanted), status, code, message)
    })

    it.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('the method %s', async (method) => {
      const reply = await ask({ method, path: `${BASE}/aes-1/wrapkey?${API}` })
      expectProxyError(reply, 405, 'MethodNotAllowed')
      expect(reply.headers['allow']).toBe('POST')
    })

    it('the method HEAD', async () => {
      const reply = await ask({ method: 'HEAD', path: `${BASE}/info?${API}` })
      expect([reply.status, reply.headers['allow'], reply.text]).toEqual([405, 'POST', ''])
    })

    it('a body of half a megabyte in a way that its sender notices, and the connection stays open', async () => {
      const socket = await openSocket(fixture.port, fixture.pki)
      const replies: string[] = []
      socket.on('data', (chunk: Buffer) => replies.push(...(chunk.toString().match(/HTTP\/1\.1 \d+/g) ?? [])))
      const post = (body: string) =>
        socket.write(
          `POST ${BASE}/info?${API} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
            `Content-Length: ${body.length}\r\n\r\n${body}`,
        )
      post('x'.repeat(512 * 1024))
      await expect.poll(() => replies).toEqual(['HTTP/1.1 413'])
      post(JSON.stringify(good))
      await expect.poll(() => replies).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200'])
      socket.destroy()
    })

    const head = `POST ${BASE}/info?${API} HTTP/1.1\r\n`
    const body = JSON.stringify({ request_context: CONTEXT })
    const rest = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
    const rawRows: readonly (readonly [string, string, number, string])[] = [
    ['a malformed Host header', `${head}Host: a b<>\r\n${rest}`, 400, 'BadRequest'],
    ['no Host header', `${head}${rest}`, 400, 'BadRequest'],
    ['a request line that is not HTTP', 'hello\r\n\r\n', 400, 'BadRequest'],
    ['a TLS client that speaks HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'BadRequest'],
    ['an unknown method', `BREW /info HTTP/1.1\r\nHost: localhost\r\n\r\n`, 400, 'BadRequest'],
    ['a bad content length', `${head}Host: localhost\r\nContent-Length: -1\r\n\r\n`, 400, 'BadRequest'],
    ['two ways to tell the length', `${head}Host: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400, 'BadRequest'],
    ['a bad chunk', `${head}Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`, 400, 'BadRequest'],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n', 405, 'MethodNotAllowed'],
    ['a body that is too large, in chunks', `${head}Host: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n11000\r\n${'x'.repeat(0x11000)}\r\n0\r\n\r\n`, 413, 'PayloadTooLarge'],
  ] /* prettier-ignore */ // one case a line

    it.each(rawRows)('%s', async (_what, bytes, status, code) => {
      const text = await exchangeRaw(fixture.port, fixture.pki, bytes)
      expect(text.split('\r\n')[0]).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
      expect(text.toLowerCase()).toContain('content-type: application/json')
      const error = JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as Record<string, unknown>
      expect(error).toEqual({ code, message: expect.any(String) as string })
    })
  })

  describe('unwrap has one opaque failure', () => {
    const opaque = { code: 'BadRequest', message: 'value cannot be unwrapped' }

    it.each(['A256KW', 'A256KWP'])('for %s: length, padding, integrity and wrong key look alike', async (alg) => {
      const wrapped = Buffer.from(valueOf(await wrap('aes-1', alg, b64(DATA_KEY))), 'base64url')
      const foreign = Buffer.from(valueOf(await wrap('aes-2', alg, b64(DATA_KEY))), 'base64url')
      const other = alg === 'A256KW' ? 'A256KWP' : 'A256KW'
      const otherMode = Buffer.from(valueOf(await wrap('aes-1', other, b64(DATA_KEY))), 'base64url')
      const lengths = [0, 1, 7, 8, 15, 16, 17, 23, 24, 39, 41, 48, harness.longestValue ?? 4096].map((length) =>
        Buffer.alloc(length, 0x5a),
      )
      for (const value of [...lengths, foreign, otherMode, wrapped.subarray(0, 32), wrapped.subarray(8)]) {
        const reply = await unwrap('aes-1', alg, b64(value))
        expectProxyError(reply, 400, 'BadRequest')
        expect(reply.json).toEqual(opaque)
      }
    })

    it.each(['A256KW', 'A256KWP'])('for %s and single-bit corruptions', async (alg) => {
      const wrapped = Buffer.from(valueOf(await wrap('aes-1', alg, b64(DATA_KEY))), 'base64url')
      // One bit of each byte, at each place in a byte. The contract's suite tests every bit.
      await atOnce(Math.ceil((wrapped.length * 8) / 7), async (index) => {
        const bit = index * 7
        const corrupt = Buffer.from(wrapped)
        corrupt[bit >> 3] = (corrupt[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const reply = await unwrap('aes-1', alg, b64(corrupt))
        expect([reply.status, reply.json]).toEqual([400, opaque])
      })
    })

    it.each(pairs)('for $name: padding, hash, range and wrong key look alike', async ({ name, bits }) => {
      const key = createPublicKey(privateKeyOf(name))
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      // The keys have the same modulus, so that no value is refused for its range.
      const { n } = await rsaKey(bits)
      const stranger = createPublicKey({ key: { kty: 'RSA', n, e: 'Aw' }, format: 'jwk' })
      const values = [
        publicEncrypt({ key, padding, oaepHash: 'sha1' }, DATA_KEY),
        publicEncrypt({ key, padding, oaepHash: 'sha256', oaepLabel: Buffer.from('x') }, DATA_KEY),
        publicEncrypt({ key, padding, oaepHash: 'sha256' }, Buffer.alloc(0)),
        publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, DATA_KEY),
        publicEncrypt({ key: stranger, padding, oaepHash: 'sha256' }, DATA_KEY),
        Buffer.alloc(bits / 8),
        Buffer.alloc(bits / 8, 0xff),
      ]
      for (const value of values) {
        const reply = await unwrap(name, 'RSA-OAEP-256', b64(value))
        expect([reply.status, reply.json]).toEqual([400, opaque])
      }
    })
  })

  describe('the gateway’s tolerance', () => {
    it('ignores members that the API does not know', async () => {
      const reply = await post('aes-1/wrapkey', {
        alg: 'A256KW',
        value: b64(DATA_KEY),
        future: { a: [1] },
        __proto__: null,
      })
      expect(reply.status).toBe(200)
    })

    it('takes a charset, a null request_id and further query parameters', async () => {
      const reply = await ask({
        path: `${BASE}/info?trace=1&${API}`,
        headers: { 'content-type': 'Application/JSON ; charset=utf-8' },
        body: { request_context: { ...CONTEXT, request_id: null } },
      })
      expect(reply.status).toBe(200)
    })

    it('answers a client that waits for 100 Continue', async () => {
      const body = JSON.stringify({ request_context: CONTEXT })
      const text = await exchangeRaw(
        fixture.port,
        fixture.pki,
        `POST ${BASE}/info?${API} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n` +
          `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      )
      expect(text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
    })

    it('truncates an over-long request_context in the log, and refuses nothing', async () => {
      const long = 'L'.repeat(10_000)
      const context = { request_id: long, correlation_id: long, pool_name: long }
      expect((await ask({ path: `${BASE}/info?${API}`, body: { request_context: context } })).status).toBe(200)
      const record = (await fixture.logged('request')).at(-1)
      for (const member of ['request_id', 'correlation_id', 'pool_name']) {
        expect(String(record?.[member])).toMatch(/^L{255}…$/)
      }
    })
  })

  describe('the audit record', () => {
    it('of a success has every field', async () => {
      await wrap('aes-1', 'A256KWP', b64(DATA_KEY))
      expect((await fixture.logged('request')).at(-1)).toEqual({
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        event: 'request',
        pool: 'contoso',
        operation: 'wrapkey',
        key: 'aes-1',
        algorithm: 'A256KWP',
        payload_bytes: 32,
        status: 200,
        code: 'OK',
        backend: 'store',
        total_ms: expect.any(Number) as number,
        backend_ms: expect.any(Number) as number,
        client_cn: 'contoso.managedhsmclient.azure.net',
        client_cert_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        tls_resumed: expect.any(Boolean) as boolean,
        remote_address: '127.0.0.1',
        request_id: 'r-1',
        correlation_id: 'c-1',
        pool_name: 'p-1',
      })
    })

    it('of a refusal has the request, the client and the inner reason', async () => {
      await unwrap('aes-1', 'A256KW', b64(Buffer.alloc(24)))
      expect((await fixture.logged('request')).at(-1)).toMatchObject({
        key: 'aes-1',
        operation: 'unwrapkey',
        status: 400,
        code: 'BadRequest',
        reason: 'CIPHERTEXT_INVALID',
        correlation_id: 'c-1',
      })
      await wrap('aes-1', 'nonsense', b64(DATA_KEY))
      expect((await fixture.logged('request')).at(-1)).toMatchObject({
        status: 400,
        correlation_id: 'c-1',
        pool: 'contoso',
      })
      await ask({ path: `${BASE}/aes-1/wrapkey?api-version=7.4`, body: {} })
      expect((await fixture.logged('request')).at(-1)).toMatchObject({ status: 400, pool: 'contoso', key: 'aes-1' })
    })

    it('is written once for each request, also for those that no route saw', async () => {
      const before = (await fixture.logged('request')).length
      await ask({ path: '/nowhere' })
      await exchangeRaw(fixture.port, fixture.pki, 'hello\r\n\r\n')
      await exchangeRaw(
        fixture.port,
        fixture.pki,
        `POST ${BASE}/info HTTP/1.1\r\nHost: <\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      )
      const after = (await fixture.logged('request')).slice(before)
      expect(after.map(({ status, reason }) => [status, reason])).toEqual([
        [404, 'ROUTE_UNKNOWN'],
        [400, 'MALFORMED'],
        [400, 'MALFORMED'],
      ])
      expect(after[0]).toMatchObject({ path: '/nowhere' })
    })
  })
}
