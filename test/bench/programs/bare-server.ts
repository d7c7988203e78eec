/**
 * The reference for the gateway: the same wrap on the same kind of TLS listener, without the gateway's other work.
 * Standard input brings a {@link BareServerInput}. The first line of standard output is the port.
 */
import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'

export interface BareServerInput {
  readonly kind: 'hono' | 'https'
  readonly certificate: string
  readonly key: string
  readonly clientCa: string
  /** The key-encryption key, base64url. */
  readonly kek: string
}

interface WrapBody {
  readonly value: string
}

const input = JSON.parse(await text(process.stdin)) as BareServerInput
const kek = createSecretKey(Buffer.from(input.kek, 'base64url'))
const initialValue = Buffer.from('a65959a6', 'hex')

/** A256KWP (RFC 5649). */
function wrap({ value }: WrapBody): { value: string } {
  const bytes = Buffer.from(value, 'base64url')
  const cipher = createCipheriv('id-aes256-wrap-pad', kek, initialValue)
  return { value: Buffer.concat([cipher.update(bytes), cipher.final()]).toString('base64url') }
}

function honoHandler() {
  const app = new Hono()
  app.post('/azureekm/contoso/:key/wrapkey', async (c) => c.json(wrap(await c.req.json<WrapBody>())))
  return getRequestListener(app.fetch)
}

function httpsHandler(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const chunks: Buffer[] = []
  incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
  incoming.on('end', () => {
    const body = JSON.stringify(wrap(JSON.parse(Buffer.concat(chunks).toString()) as WrapBody))
    outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    outgoing.end(body)
  })
}

// Those options of src/tls/listener.ts that cost time.
const server = createServer({
  cert: input.certificate,
  key: input.key,
  ca: input.clientCa,
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
  ALPNProtocols: ['http/1.1'],
  requestCert: true,
  rejectUnauthorized: false,
  ticketKeys: randomBytes(48),
  sessionIdContext: 'bench',
  sessionTimeout: 3600,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1000,
  keepAliveTimeout: 300_000,
  noDelay: true,
})
const handler = input.kind === 'hono' ? honoHandler() : httpsHandler
server.on('request', (incoming, outgoing) => void handler(incoming, outgoing))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`)
})
// With an exit of its own, Node.js writes the profile of --cpu-prof.
process.once('SIGINT', () => process.exit(0))
