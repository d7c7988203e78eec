import { constants, X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import { issue } from '../../src/certificates.ts'
import { badRequest, Refusal, right, type Allowed } from './behaviour.ts'
import { mutation, type Mutation } from './mutation.ts'

const { isAllowed } = right
const BOTH = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256'
const TLS_12 = 'ECDHE-ECDSA-AES256-GCM-SHA384'
const every = (group: string, ...rules: string[]) => rules.map((rule) => `${group}.${rule}`)
const REFUSED = every('client', 'refused', 'refused-on-resumption')
const commonNameOf = (socket: TLSSocket) => (socket.getPeerCertificate() as { subject?: { CN?: string } }).subject?.CN
const leafOf = (socket: TLSSocket) => (socket.getPeerCertificate() as { raw?: Buffer }).raw

const fromRoot = (socket: TLSSocket, { root }: Allowed) => {
  const raw = leafOf(socket)
  return raw !== undefined && socket.authorized && new X509Certificate(raw).verify(root.publicKey)
}

// Not formatted: one wrong proxy a line, to be read by columns.
export const tlsMutations: readonly Mutation[] = [
  mutation('takes TLS 1.2', { tls: { minVersion: 'TLSv1.2', ciphers: `${BOTH}:${TLS_12}` } }, ['tls.no-older-version']),
  mutation(
    'speaks TLS 1.2 only',
    { tls: { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: TLS_12 } },
    every('tls', 'version', 'no-older-version', 'suite-aes-256', 'suite-aes-128'),
  ),
  mutation('offers a third suite', { tls: { ciphers: `${BOTH}:TLS_CHACHA20_POLY1305_SHA256` } }, [
    'tls.no-other-suite',
  ]),
  mutation('has no AES-128', { tls: { ciphers: 'TLS_AES_256_GCM_SHA384' } }, ['tls.suite-aes-128']),
  mutation('has no AES-256', { tls: { ciphers: 'TLS_AES_128_GCM_SHA256' } }, ['tls.suite-aes-256']),
  mutation('prefers HTTP/2', { tls: { ALPNProtocols: ['h2', 'http/1.1'] } }, ['tls.alpn']),
  mutation(
    "has another host's certificate",
    ({ serverCa }) => {
      const { certificate: cert, key } = issue(
        { commonName: 'example.com', usage: 'server', hosts: ['example.com'] },
        serverCa,
      )
      return { tls: { cert, key } }
    },
    ['tls.server-name'],
  ),
  mutation('gives no tickets', { tls: { secureOptions: constants.SSL_OP_NO_TICKET } }, ['tls.resumption']),
  mutation(
    'lets nobody in on a resumed session',
    { isAllowed: (socket, allowed) => !socket.isSessionReused() && isAllowed(socket, allowed) },
    ['tls.resumed-serves'],
  ),
]

// Not formatted: one wrong proxy a line, to be read by columns.
export const clientMutations: readonly Mutation[] = [
  mutation(
    'lets in who has no certificate',
    { isAllowed: (socket, allowed) => leafOf(socket) === undefined || isAllowed(socket, allowed) },
    every('client', 'none', 'told-so', 'before-the-body'),
  ),
  mutation('ignores the CN', { isAllowed: fromRoot }, [...REFUSED, 'client.told-so']),
  mutation(
    'ignores which root it is',
    { isAllowed: (socket, { commonName }) => socket.authorized && commonNameOf(socket) === commonName },
    [...REFUSED, 'client.told-so'],
  ),
  mutation('looks at the CN alone', { isAllowed: (socket, { commonName }) => commonNameOf(socket) === commonName }, [
    ...REFUSED,
    'client.impostor',
    'client.told-so',
  ]),
  mutation(
    'takes the name of the root for the root',
    {
      isAllowed: (socket, { commonName, root }) => {
        const raw = leafOf(socket)
        return (
          raw !== undefined && commonNameOf(socket) === commonName && new X509Certificate(raw).issuer === root.subject
        )
      },
    },
    [...REFUSED, 'client.impostor', 'client.told-so'],
  ),
  mutation(
    'looks at no client again on a resumed session',
    { isAllowed: (socket, allowed) => socket.isSessionReused() || isAllowed(socket, allowed) },
    ['client.refused-on-resumption'],
  ),
  mutation('answers 403 to who is not allowed', { turnAway: () => new Refusal(403, 'Forbidden') }, [
    ...REFUSED,
    ...every('client', 'none', 'impostor', 'told-so', 'before-the-body'),
  ]),
  mutation('hangs up on who is not allowed', { turnAway: () => 'hang up' }, ['client.told-so']),
  mutation('reads the body of who is not allowed', { turnAway: () => 'read the body first' }, [
    'client.before-the-body',
  ]),
]

let calls = 0
const keptAlive = (connection: string | undefined) => connection !== 'close'
const throttle =
  (refusal: Refusal) =>
  async ({ headers }: { headers: { connection?: string | undefined } }) => {
    if (!keptAlive(headers.connection)) return undefined
    calls += 1
    return calls % 150 === 0 ? refusal : undefined
  }
/**
 * Slow calls must be more than one in twenty, so that p95 shows them. The period is odd, since every other call may be
 * timed.
 */
const late = async () => {
  calls += 1
  if (calls % 13 === 0) await new Promise((resolve) => setTimeout(resolve, 280))
  return undefined
}

// Not formatted: one wrong proxy a line, to be read by columns.
export const httpMutations: readonly Mutation[] = [
  mutation('serves GET as well', { methodRefusal: () => undefined }, every('http', 'method', 'method-status')),
  mutation('answers 400 to a wrong method', { methodRefusal: (method) => (method === 'POST' ? undefined : badRequest()) }, ['http.method-status']),
  mutation('has no Allow header', { methodRefusal: (method) => (method === 'POST' ? undefined : new Refusal(405, 'MethodNotAllowed')) }, ['http.allow']),
  mutation('answers 400 to an unknown path', { unknownPath: () => badRequest() }, ['http.unknown-path-status']),
  mutation('takes any content type', { contentTypeIsFine: () => true }, ['http.content-type']),
  mutation('takes one spelling of the content type', { contentTypeIsFine: (type) => type === 'application/json' }, ['http.charset']),
  mutation('has no limit for a body', { maxBodyBytes: 100_000_000 }, ['http.too-large']),
  mutation('closes every connection', { closeAlways: true }, ['http.keep-alive']),
  mutation('wants a content length', { headersAreFine: ({ method, headers }) => (method !== 'POST' || headers['content-length'] ? undefined : new Refusal(411, 'LengthRequired')) }, ['http.chunked']),
  mutation('meets no expectation', { expectation: new Refusal(417, 'ExpectationFailed') }, ['http.expect-continue']),
  mutation('says nothing to what is not HTTP', { malformed: () => '' }, ['http.malformed']),
  mutation('dies of what is not HTTP', { stopsAtMalformed: true }, ['http.survives'], { only: ['http.survives'] }),
  mutation('is slow', { before: late }, ['latency.first-call', 'latency.resumed', 'latency.keep-alive', 'load.budget'], { only: ['latency', 'load'] }),
  mutation('fails one call in twenty', { before: async () => ((calls += 1) % 20 === 0 ? new Refusal(502, 'BadGateway') : undefined) }, ['load.served'], { only: ['load.served'] }),
  mutation('throttles without Retry-After', { before: throttle(new Refusal(429, 'Throttled')) }, ['throttle.retry-after']),
  mutation('throttles under another code', { before: throttle(new Refusal(429, 'TooManyRequests', 'later', { 'retry-after': '1' })) }, ['throttle.code']),
] /* prettier-ignore */ // one case a line
