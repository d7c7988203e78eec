import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TextReporter } from '../../src/commands/check/reporters/text.ts'
import { styleFor } from '../../src/conformance/src/index.ts'
import { auditText } from '../../src/telemetry/audit-text.ts'
import { openLog } from '../../src/telemetry/log.ts'
import { membersOf } from '../../src/telemetry/members.ts'
import { API, CONTEXT, openSocket, send, tlsOptions } from '../support/https.ts'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { makeClient, makePki, type Pki } from '../support/pki.ts'
import { makeWorkspace } from '../support/workspace.ts'

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => String.fromCodePoint(first + index))

/** Characters that a terminal or an editor obeys, hides or reorders instead of showing. */
const invisible = [
  ...range(0x00, 0x1f),
  ...range(0x7f, 0x9f),
  ...range(0x200b, 0x200f),
  ...range(0x2028, 0x202e),
  ...range(0x2060, 0x206f),
  ...'\u00ad\u061c\u180e\ufeff\ufff9\ufffb',
  '\ud800',
  '\udc00',
  '\u{e0001}',
  '\u{e0041}',
]
const all = invisible.join('|')
const ends = ['\u009b', 'a\u009b', '\u009b31m', '\\\u202e', '"\u2066', '\ud83d\u202e', 'x'.repeat(50) + '\u0085']
/** Characters that stay unchanged. */
const visible = 'plain, grüße, 契約, ключ, 🔑, "quoted\\"'

const SEEN = /^[\n\P{C}]*$/u
const isSeen = (text: string) => SEEN.test(text) && !/[\u2028\u2029]/.test(text)

describe('the text of a log line', () => {
  it('shows every character, and keeps its meaning', async () => {
    const workspace = await makeWorkspace()
    const destination = workspace.path('log')
    const log = await openLog({ level: 'debug', destination })
    const texts = [...invisible, ...ends, all, visible]
    for (const text of texts) {
      for (const level of ['error', 'warn', 'info', 'debug'] as const) log[level]('x', { text })
      log.always('x', { text })
      log.always('x', {}, { text })
      log.always('x', { other: 1 }, { text })
    }
    await log.close()
    const written = await readFile(destination, 'utf8')
    await workspace.remove()
    expect(isSeen(written)).toBe(true)
    const lines = written.trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(
      texts.flatMap((text) => Array<string>(7).fill(text)),
    )
    expect(lines.at(-1)).toContain(JSON.stringify(visible))
  })

  it('shows every member of an audit record in this way', () => {
    const record = { status: 200, code: 'OK', total_ms: 1 }
    for (const member of ['pool', 'key', 'backend', 'pool_name', 'request_id', 'correlation_id', 'path', 'detail']) {
      for (const text of [...invisible, ...ends, all, visible]) {
        const made = auditText({ ...record, [member]: text })
        expect(isSeen(made)).toBe(true)
        expect(JSON.parse(`{${made}}`)).toEqual({ ...record, [member]: text })
        expect(isSeen(membersOf({ [member]: text }))).toBe(true)
      }
    }
  })
})

it('the conformance package, which imports nothing of the gateway, escapes the same characters', async () => {
  const rule = await readFile('src/base/visible.ts', 'utf8')
  expect(await readFile('src/conformance/src/visible.ts', 'utf8')).toBe(rule)
})

describe('a caller', () => {
  const TRICK = 'a\u009b2J\u202egnp.exe\u2066\u2028\u007f\ufeffz'
  /** The test's certificates are made from text in which a separator would end the name. */
  const NAME = TRICK.replace('\u2028', '')
  let pki: Pki
  let fixture: TestGateway
  beforeAll(async () => {
    pki = await makePki()
    fixture = await startTestGateway(pki, [aesKey('aes-1')])
  })
  afterAll(() => fixture.stop())

  it('cannot write control characters by its request or its certificate', async () => {
    const context = { request_id: TRICK, correlation_id: TRICK, pool_name: TRICK }
    for (const operation of ['info', 'aes-1/metadata', 'aes-1/sign']) {
      const body = { request_context: { ...CONTEXT, ...context } }
      await send(fixture.port, pki, { path: `/azureekm/contoso/${operation}?${API}`, body })
    }
    const stranger = await makeClient(undefined, { commonName: NAME })
    await send(fixture.port, pki, { path: `/?${API}`, body: {} }, stranger)
    const known = await makeClient(pki.clientCa, { commonName: NAME })
    await send(fixture.port, pki, { path: `/?${API}`, body: {} }, known)
    const socket = await openSocket(fixture.port, pki, tlsOptions(pki))
    socket.end('GET /\u009b HTTP/1.1\r\nHost: x\r\n\r\n')

    const records = await fixture.logged('request')
    expect(records.filter(({ client_cn }) => client_cn === NAME)).toHaveLength(2)
    expect(records.find(({ operation }) => operation === 'info')).toMatchObject(context)
    expect(isSeen(await fixture.logText())).toBe(true)
  })
})

it('a command escapes control characters in names that others chose', () => {
  const reporter = new TextReporter(styleFor({ isTTY: true }, {}))
  const text = reporter.lines({ id: 'configuration.valid', status: 'problem', subject: all, found: all, advice: all })
  expect(text.replaceAll(/\u001b\[\d+m/g, '')).not.toMatch(/[^\P{C}\n]|[\u2028\u2029]/u)
})
