import type { Case } from '../case.ts'
import { API_QUERY, requestContext } from '../api.ts'
import { notApplicable, type Reply } from '../probe.ts'

const http = (id: string, severity: Case['severity'], clause: string, title: string, run: Case['run']): Case => ({
  id: `http.${id}`,
  clause,
  severity,
  title,
  run,
})

const METHODS = ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
const TOO_LARGE_BYTES = 4 * 1024 * 1024
const TOO_LARGE_PART_BYTES = 128 * 1024
/** Milliseconds to wait for a proxy that may read all of the body. */
const PATIENCE_MS = 2000
const SILENT = 'Errors (the reference names no code here)'

/** Malformed requests, by what is wrong with them. `end` is what follows the request line of a correct one. */
const malformed: Readonly<Record<string, (start: string) => string>> = {
  'a request line that is not HTTP': () => 'hello\r\n\r\n',
  'a header line without a colon': (start) => `${start}Host: localhost\r\nnonsense\r\n\r\n`,
  'a negative content length': (start) => `${start}Host: localhost\r\nContent-Length: -1\r\n\r\n`,
  'a content length beside a transfer encoding': (start) =>
    `${start}Host: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a chunk size that is no number': (start) =>
    `${start}Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
}

export const httpCases: readonly Case[] = [
  http('method', 'must', 'URL', 'every method but POST is refused', async (probe) => {
    for (const method of METHODS) probe.turnedDown(await probe.send({ method, path: probe.path('info') }))
  }),
  http('method-status', 'should', SILENT, 'a wrong method is 405', async (probe) => {
    for (const method of METHODS) probe.refused(await probe.send({ method, path: probe.path('info') }), 405)
  }),
  http('allow', 'should', 'RFC 9110 section 15.5.6', 'a 405 has an Allow header that names POST', async (probe) => {
    const reply = await probe.send({ method: 'GET', path: probe.path('info') })
    if (reply.status !== 405) notApplicable('a wrong method is not answered with 405')
    probe.checkReply(reply, 'Allow: POST', /\bPOST\b/.test(reply.headers['allow'] ?? ''))
  }),
  http('unknown-path-status', 'should', SILENT, 'a path that the API does not have is 404', async (probe) => {
    for (const path of [`/nowhere-8fe1?${API_QUERY}`, probe.path('no-such-key-8fe1/sign')]) {
      probe.refused(await probe.send({ path, body: JSON.stringify(requestContext()) }), 404)
    }
  }),
  http('content-type', 'should', 'Who calls, how', 'a content type other than JSON is 415 or 400', async (probe) => {
    const body = JSON.stringify(requestContext())
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp']) {
      const note = `with content type ${type}`
      probe.refused(
        await probe.send({ path: probe.path('info'), body, headers: { 'content-type': type } }, note),
        [400, 415],
      )
    }
  }),
  http(
    'charset',
    'should',
    'RFC 9110 section 8.3.1',
    'the content type may have a charset, and capitals',
    async (probe) => {
      const body = JSON.stringify(requestContext())
      const headers = { 'content-type': 'Application/JSON; charset=utf-8' }
      probe.served(await probe.send({ path: probe.path('info'), body, headers }, 'with a charset'))
    },
  ),
  http('too-large', 'should', SILENT, 'a body of 4 MiB is 413', async (probe) => {
    const body = JSON.stringify({ ...requestContext(), padding: 'x'.repeat(TOO_LARGE_BYTES) })
    const all = probe.infoRequest(undefined, body)
    // A client that still writes after the answer may lose the answer, because the connection is reset. So only a part
    // is sent at first.
    const part = await probe.raw(
      all.slice(0, TOO_LARGE_PART_BYTES),
      'info, the beginning of a body of 4 MiB',
      {},
      undefined,
      PATIENCE_MS,
    )
    probe.refused(part ?? (await probe.send({ path: probe.path('info'), body }, 'with a body of 4 MiB')), 413)
  }),
  http('keep-alive', 'should', 'Who calls, how', 'a connection serves one request after the other', async (probe) => {
    const socket = await probe.connect()
    const body = JSON.stringify(requestContext())
    const one = probe.infoRequest().replace('Connection: close\r\n', '')
    const sent = `POST ${probe.path('info')} twice on one connection`
    const text = await new Promise<string>((resolve) => {
      let all = ''
      let asked = 1
      socket.on('data', (chunk: Buffer) => {
        all += chunk.toString('latin1')
        const answers = all.match(/HTTP\/1\.1 200/g)?.length ?? 0
        const complete = /\}\s*(?:0\r\n\r\n)?$/.test(all)
        if (!complete || answers === 0) return
        if (answers >= 2) socket.destroy()
        else if (asked === 1) {
          asked = 2
          socket.write(one)
        }
      })
      socket.on('error', () => undefined)
      socket.on('end', () => socket.destroy())
      socket.on('close', () => resolve(all))
      socket.write(one)
    })
    const answers = text.match(/HTTP\/1\.1 200/g)?.length ?? 0
    probe.check(
      { sent: `${sent} (${body.length} bytes)`, expected: '2 answers with 200', came: `${answers}` },
      answers === 2,
    )
  }),
  http('chunked', 'should', 'RFC 9112 section 7.1', 'a body may come in chunks, and in pieces', async (probe) => {
    const body = JSON.stringify(requestContext())
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
    const bytes =
      `POST ${probe.path('info')} HTTP/1.1\r\nHost: ${probe.target.host}\r\nContent-Type: application/json\r\n` +
      `Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk(body.slice(0, 9))}${chunk(body.slice(9))}0\r\n\r\n`
    answered(await probe.raw(bytes, 'info with a body in two chunks'), (reply) => probe.served(reply))
  }),
  http(
    'expect-continue',
    'should',
    'RFC 9110 section 10.1.1',
    'a client that waits for 100 Continue is answered',
    async (probe) => {
      const request = probe.infoRequest('Content-Type: application/json\r\nExpect: 100-continue\r\n')
      answered(await probe.raw(request, 'info with Expect: 100-continue'), (reply) => probe.served(reply))
    },
  ),
  http('malformed', 'should', 'Errors, BadRequest', 'what is not HTTP is 400', async (probe) => {
    const start = `POST ${probe.path('info')} HTTP/1.1\r\n`
    for (const [what, make] of Object.entries(malformed)) {
      const reply = await probe.raw(make(start), what)
      const step = { sent: what, expected: 'an answer', came: 'the end of the connection' }
      if (reply === undefined) probe.check(step, false)
      else probe.refused(reply, 400, 'BadRequest')
    }
  }),
  http(
    'survives',
    'must',
    'Who calls, how',
    'the proxy keeps serving after malformed requests and handshakes',
    async (probe) => {
      for (const bytes of [Buffer.alloc(1024, 0xff), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\u0000'.repeat(64)]) {
        await probe.raw(bytes, 'bytes that are no request')
      }
      probe.served(await probe.call('info'))
    },
  ),
]

function answered(reply: Reply | undefined, judge: (reply: Reply) => void): void {
  if (reply === undefined) notApplicable('the connection ended without an answer')
  else judge(reply)
}
