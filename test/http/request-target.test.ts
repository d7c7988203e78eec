import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aesKey, contosoPool, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, exchangeRaw, newAddress } from '../support/https.ts'
import { makePki } from '../support/pki.ts'

const BODY = JSON.stringify({ request_context: CONTEXT })
const INFO = '/azureekm/contoso/info'

let fixture: TestGateway
let asked = 0

beforeAll(async () => {
  fixture = await startTestGateway(await makePki(), [aesKey('aes-1')], {
    pools: [contosoPool('azureekm/contoso', 'all')],
  })
})
afterAll(() => fixture.stop())

/**
 * Sends one request with this target and these Host lines unchanged. Resolves with the answer's status and audit
 * record.
 */
async function ask(target: string, hosts: readonly string[] = ['localhost'], version = '1.1', more = '') {
  asked += 1
  const localAddress = newAddress()
  const lines = hosts.map((host) => `Host: ${host}\r\n`).join('')
  const text = await exchangeRaw(
    fixture.port,
    fixture.pki,
    Buffer.from(
      `POST ${target} HTTP/${version}\r\n${lines}${more}Content-Type: application/json\r\n` +
        `Content-Length: ${BODY.length}\r\nConnection: close\r\n\r\n${BODY}`,
      'latin1',
    ),
    undefined,
    localAddress,
  )
  const records = await fixture.requestsFrom(localAddress)
  expect(records).toHaveLength(1)
  const [record] = records
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1])
  expect(record?.['status']).toBe(status)
  expect(text.toLowerCase()).toContain('content-type: application/json')
  return { status, record, message: String(record?.['message']) }
}

describe('the gateway takes a path in one spelling only:', () => {
  // Targets that URL parsers rewrite to the path of info.
  const others = [
    '/x/../azureekm/contoso/info',
    '/azureekm/contoso/x/../info',
    '/azureekm/contoso/./info',
    '/./azureekm/contoso/info',
    '/../azureekm/contoso/info',
    '/azureekm/contoso/%2e/info',
    '/azureekm/contoso/x/%2E%2e/info',
    '/azureekm/contoso/x/.%2e/info',
    '/azureekm/contoso/%69nfo',
    '/azureekm/contoso/info/',
    '/azureekm/contoso/info/.',
    '/azureekm/contoso/info/x/..',
    '/azureekm//contoso/info',
    '//azureekm/contoso/info',
    '/azureekm/contoso/info;v=1',
    '/azureekm/contoso;v=1/info',
    '/azureekm/contoso/info#',
    '/azureekm/contoso/info#x',
    '/azureekm\\contoso\\info',
    '/azureekm/contoso\\info',
    '/azureekm/contoso/x/..\\info',
    '/azureekm/contoso/INFO',
    '*/azureekm/contoso/info',
    'ftp://localhost/azureekm/contoso/info',
    'http://localhost/azureekm/contoso/info',
    'https://localhost/x/../azureekm/contoso/info',
    'https://localhost//azureekm/contoso/info',
  ]
  it.concurrent.each(others)('it refuses %s, and logs it unchanged', async (target) => {
    const { status, record } = await ask(`${target}?${API}`)
    expect([status, record]).toMatchObject([404, { path: target, reason: 'ROUTE_UNKNOWN' }])
  })

  it.concurrent.each([
    '/azureekm/contoso/x/../aes-1/metadata',
    '/azureekm/contoso/aes-1/./metadata',
    '/azureekm/contoso/%2e/aes-1/metadata',
  ])('it finds no key by %s', async (target) => {
    expect((await ask(`${target}?${API}`)).status).toBe(404)
  })

  it.concurrent.each([
    ['a tab', '/azureekm/contoso/in\tfo'],
    ['a vertical tab', '/azureekm/contoso/in\u000bfo'],
    ['a form feed', '/azureekm/contoso/info\f'],
    ['a NUL', '/azureekm/contoso/info\0'],
    ['DEL', '/azureekm/contoso/info\u007f'],
    ['a soft hyphen', '/azureekm/contoso/in\u00adfo'],
  ])('it does not skip %s in a path', async (_what, target) => {
    expect([400, 404]).toContain((await ask(`${target}?${API}`)).status)
  })

  it('it takes a query in one spelling only', async () => {
    const versions: readonly (readonly [string, string])[] = [
      [`${INFO}?api-version=0%2E1-preview`, 'is not supported'],
      [`${INFO}?api-version=0.1-preview#x`, 'is not supported'],
      [`${INFO}?api-version=0.1-preview+`, 'is not supported'],
      [`${INFO}?api%2Dversion=0.1-preview`, 'is required'],
      [`${INFO}?API-VERSION=0.1-preview`, 'is required'],
      [`${INFO}?x=1?${API}`, 'is required'],
      [`${INFO}?${API}&${API}`, 'is repeated'],
      [`${INFO}?${API}&api-version`, 'is repeated'],
      [`${INFO}?api-version`, 'is not supported'],
      [INFO, 'is required'],
    ]
    for (const [target, problem] of versions) {
      const { status, message } = await ask(target)
      expect([target, status, message]).toEqual([target, 400, expect.stringContaining(problem)])
    }
    for (const query of [`?${API}&trace=1`, `?trace=%2e&${API}`, `?&${API}&`, `?a/../b&${API}`, `?x=?&${API}`])
      expect([query, (await ask(`${INFO}${query}`)).status]).toEqual([query, 200])
  })
})

describe('a target in absolute form', () => {
  it.concurrent.each([
    'https://localhost/azureekm/contoso/info',
    'HTTPS://Example.com:8443/azureekm/contoso/info',
    'https://[::1]:443/azureekm/contoso/info',
  ])('%s is served by its path', async (target) => {
    expect(await ask(`${target}?${API}`)).toMatchObject({ status: 200, record: { pool: 'contoso' } })
    expect((await ask(`${target}?${API}`, ['another.example'])).status).toBe(200)
  })

  it.concurrent.each([
    'https://user@localhost/azureekm/contoso/info',
    'https://a@b:c@d/azureekm/contoso/info',
    'https:///azureekm/contoso/info',
    'https://localhost:port/azureekm/contoso/info',
  ])('%s names no host', async (target) => {
    expect((await ask(`${target}?${API}`)).status).toBe(400)
  })

  it.concurrent.each(['https://localhost', 'https://localhost/'])('%s alone finds no route', async (target) => {
    expect(await ask(`${target}?${API}`)).toMatchObject({ status: 404, record: { path: target } })
  })

  it('needs a Host line as any other', async () => {
    expect((await ask(`https://localhost${INFO}?${API}`, [])).status).toBe(400)
    expect((await ask(`https://localhost${INFO}?${API}`, ['a', 'b'])).status).toBe(400)
  })
})

describe('the Host header', () => {
  const target = `${INFO}?${API}`
  const good = [
    'localhost',
    'LOCALHOST:8443',
    'ekm.example.com',
    'ekm.example.com.',
    '192.0.2.1:443',
    '[2001:db8::1]',
    '[::1]:8443',
    'a_b',
    'localhost:',
  ]
  it.concurrent.each(good)('is accepted as %s', async (host) => {
    expect((await ask(target, [host])).status).toBe(200)
  })

  const bad: readonly (readonly [string, readonly string[]])[] = [
    ['a header that is sent twice', ['localhost', 'localhost']],
    ['a header that is sent twice, with two names', ['localhost', 'other.example']],
    ['a header that is sent three times, and is empty', ['localhost', '', '']],
    ['an empty header', ['']],
    ['a name with a list', ['localhost, other.example']],
    ['a name with a path', ['localhost/azureekm']],
    ['a name with a user', ['user@localhost']],
    ['a name with a query', ['localhost?x']],
    ['a name with a fragment', ['localhost#x']],
    ['a name with a space', ['local host']],
    ['a name with a backslash', ['localhost\\x']],
    ['a name with a port that is no number', ['localhost:https']],
    ['a name with two ports', ['localhost:1:2']],
    ['a name with a port that no TCP has', ['localhost:99999']],
    ['a name with bytes beyond ASCII, which a URL parser takes for a longer name', ['\u00fc/xxxxx']],
    ['a name with a bracket that is not closed', ['[::1']],
    ['a name with brackets around no address', ['[localhost]']],
  ]
  it.concurrent.each(bad)('is refused with 400 as %s', async (_what, hosts) => {
    const { status, record } = await ask(target, hosts)
    expect([status, record]).toMatchObject([400, { reason: 'MALFORMED', code: 'BadRequest' }])
    expect(record?.['pool']).toBeUndefined()
  })

  it('is needed in HTTP/1.1, and not in HTTP/1.0', async () => {
    expect((await ask(target, [])).status).toBe(400)
    expect((await ask(target, [], '1.0')).status).toBe(200)
    expect((await ask(target, ['a', 'b'], '1.0')).status).toBe(400)
  })

  it('comes before everything else but the certificate', async () => {
    const request = `GET /nowhere HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n`
    expect(await exchangeRaw(fixture.port, fixture.pki, request)).toMatch(/^HTTP\/1\.1 400 /)
    expect(await exchangeRaw(fixture.port, fixture.pki, request, null)).toMatch(/^HTTP\/1\.1 401 /)
    expect((await ask(target, ['a', 'b'], '1.1', 'Expect: 100-continue\r\n')).status).toBe(400)
    expect((await ask(target, ['a', 'b'], '1.1', 'Expect: magic\r\n')).status).toBe(400)
  })
})

it('the gateway refuses two content types, whichever comes first', async () => {
  for (const type of ['text/plain', 'application/json']) {
    const { status } = await ask(`${INFO}?${API}`, ['localhost'], '1.1', `Content-Type: ${type}\r\n`)
    expect(status).toBe(400)
  }
})

it('each request leaves one record in the log', async () => {
  const direct = 2
  expect(await fixture.logged('request')).toHaveLength(asked + direct)
})
