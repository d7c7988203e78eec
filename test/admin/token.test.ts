import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../adapters/contract/index.ts'
import { serveAdmin, type AdminServer } from '../../src/service/admin/server.ts'
import { TokenGate, type TokenRefusal } from '../../src/service/admin/token.ts'
import { lookOf } from './look.ts'

const TOKEN = 'a-token:that.nobody/guesses='
const secretOf = (text: string) => new Secret(Buffer.from(text))

describe('the admin port with a token', () => {
  const refused: [TokenRefusal, string][] = []
  let token = TOKEN
  let server: AdminServer
  beforeAll(async () => {
    const view = {
      status: async () => ({
        ...lookOf(),
        ready: true,
        requests: 0,
        connections: { allowed: 0, verified: 0, unverified: 0 },
      }),
      metrics: async () => '# nothing\n',
      look: async () => lookOf(),
    }
    const gate = new TokenGate(
      () => secretOf(token),
      (...told) => refused.push(told),
    )
    server = await serveAdmin({ host: '127.0.0.1', port: 0 }, view, gate)
  })
  afterAll(() => server.close())

  const ask = (path: string, authorization?: string) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, { headers: authorization === undefined ? {} : { authorization } })
  const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`
  const right = [`Bearer ${TOKEN}`, `bearer ${TOKEN}`, basic(`:${TOKEN}`), basic(`anybody:${TOKEN}`)]

  it.each(right)('answers a request with the token: %s', async (authorization) => {
    for (const path of ['/', '/status', '/metrics']) expect((await ask(path, authorization)).status).toBe(200)
  })

  it('answers /healthz and /readyz to everybody', async () => {
    for (const path of ['/healthz', '/readyz', '/readyz?pool=contoso']) expect((await ask(path)).status).toBe(200)
  })

  it.each(['/', '/status', '/metrics', '/healthz/', '//healthz', '/healthz/../metrics', '/nothing', '/%68ealthz'])(
    'asks for the token at %s, in a form that a browser understands',
    async (path) => {
      const reply = await ask(path)
      expect(reply.status).toBe(401)
      expect(reply.headers.get('www-authenticate')).toMatch(/^Basic realm="ekm-gateway".*, Bearer realm="ekm-gateway"$/)
      expect(await reply.text()).not.toContain('contoso')
    },
  )

  const wrong = [
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN.toUpperCase()}`,
    basic(`${TOKEN}:`),
    basic(TOKEN.replace(':', '')),
    'Basic !!!!',
  ]
  it.each(wrong)('refuses %s, and counts it once', async (authorization) => {
    refused.length = 0
    expect((await ask('/metrics', authorization)).status).toBe(401)
    expect(refused).toEqual([['wrong', '127.0.0.1']])
  })

  it.each(['', 'Bearer', 'Bearer ', `Digest ${TOKEN}`, TOKEN, `Bearer ${TOKEN} ${TOKEN}`])(
    'does not take "%s" as a token',
    async (authorization) => {
      refused.length = 0
      expect((await ask('/metrics', authorization)).status).toBe(401)
      expect(refused).toEqual([['missing', '127.0.0.1']])
    },
  )

  it('uses a changed token from the next request on', async () => {
    token = 'another-token-of-the-operator'
    expect((await ask('/metrics', `Bearer ${token}`)).status).toBe(200)
    expect((await ask('/metrics', `Bearer ${TOKEN}`)).status).toBe(401)
    token = TOKEN
  })
})

describe('wrong tokens', () => {
  let now = 0
  const gate = () =>
    new TokenGate(
      () => secretOf(TOKEN),
      undefined,
      () => now,
    )
  const from = (remoteAddress: string, authorization?: string) =>
    ({ headers: { authorization }, socket: { remoteAddress } }) as unknown as IncomingMessage

  it('of one network are checked ten at once, and then one every six seconds; the right token waits with them', () => {
    const guarded = gate()
    for (let attempt = 0; attempt < 10; attempt += 1) {
      expect(guarded.refusalOf(from('192.0.2.1', 'Bearer wrong'))).toBe('wrong')
    }
    expect(guarded.refusalOf(from('192.0.2.1', 'Bearer wrong'))).toBe('too_many')
    expect(guarded.refusalOf(from('192.0.2.1', `Bearer ${TOKEN}`))).toBe('too_many')
    expect(guarded.refusalOf(from('192.0.2.2', `Bearer ${TOKEN}`))).toBeUndefined()
    now += 6001
    expect(guarded.refusalOf(from('192.0.2.1', 'Bearer wrong'))).toBe('wrong')
    expect(guarded.refusalOf(from('192.0.2.1', 'Bearer wrong'))).toBe('too_many')
    now += 6001
    expect(guarded.refusalOf(from('192.0.2.1', `Bearer ${TOKEN}`))).toBeUndefined()
  })

  it('of one IPv6 network count together', () => {
    const guarded = gate()
    for (let host = 1; host <= 10; host += 1) guarded.refusalOf(from(`2001:db8::${host}`, 'Bearer wrong'))
    expect(guarded.refusalOf(from('2001:db8::ffff', 'Bearer wrong'))).toBe('too_many')
    expect(guarded.refusalOf(from('2001:db8:0:1::1', 'Bearer wrong'))).toBe('wrong')
  })

  it('cost no attempt if they are missing: a browser asks without one first', () => {
    const guarded = gate()
    for (let attempt = 0; attempt < 50; attempt += 1) expect(guarded.refusalOf(from('192.0.2.1'))).toBe('missing')
    expect(guarded.refusalOf(from('192.0.2.1', `Bearer ${TOKEN}`))).toBeUndefined()
  })
})
