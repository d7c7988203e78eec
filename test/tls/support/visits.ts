import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { connect, createSecureContext, type SecureContext } from 'node:tls'
import { API, CONTEXT, newAddress, tlsOptions } from '../../support/https.ts'
import type { Identity, Pki } from '../../support/pki.ts'

/** A client's connection. */
export interface Visit {
  readonly address: string
  readonly isResumed: boolean
  /** The latest session ticket. A resumed session may have none. */
  readonly ticket: () => Promise<Buffer | undefined>
  /** Sends one request to a pool. Resolves with its status, or `closed` if the gateway closed the connection before. */
  readonly ask: (pool: string) => Promise<number | 'closed'>
  readonly leave: () => void
}

export interface Visitor {
  readonly port: number
  readonly pki: Pki
  /** If absent, the client has no certificate. */
  readonly identity: Identity | undefined
  readonly session?: Buffer | undefined
  readonly address?: string
}

/** Suites of TLS 1.3, and a security level at which OpenSSL lets a client use any key. */
const CIPHERS = 'TLS_AES_256_GCM_SHA384:DEFAULT@SECLEVEL=0'

/** Making a context takes longer than a handshake. */
const contexts = new WeakMap<object, SecureContext>()

function contextOf(pki: Pki, identity: Identity | undefined): SecureContext {
  const known = contexts.get(identity ?? pki)
  if (known !== undefined) return known
  const context = createSecureContext({ ciphers: CIPHERS, ...tlsOptions(pki, identity ?? null) })
  contexts.set(identity ?? pki, context)
  return context
}

export async function visit({ port, pki, identity, session, address = newAddress() }: Visitor): Promise<Visit> {
  const below = connectTcp({ host: '127.0.0.1', port, localAddress: address })
  const socket = connect({
    socket: below,
    servername: 'localhost',
    secureContext: contextOf(pki, identity),
    ...(session && { session }),
  })
  let offered: Buffer | undefined
  socket.on('session', (ticket: Buffer) => (offered = ticket))
  await once(socket, 'secureConnect')
  socket.on('error', () => undefined)
  const isResumed = socket.isSessionReused()
  return {
    address,
    isResumed,
    ticket: async () => {
      for (let waited = 0; offered === undefined && !isResumed && waited < 500; waited += 5) await setTimeout(5)
      return offered
    },
    ask: (pool) =>
      new Promise((resolve) => {
        const onClose = () => resolve('closed')
        if (socket.destroyed) return onClose()
        socket.once('close', onClose)
        socket.once('data', (chunk: Buffer) => {
          socket.off('close', onClose)
          resolve(Number(chunk.toString('latin1').slice(9, 12)))
        })
        const payload = JSON.stringify({ request_context: CONTEXT })
        socket.write(
          `POST /${pool}/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
            `Content-Length: ${payload.length}\r\n\r\n${payload}`,
        )
      }),
    leave: () => socket.destroy(),
  }
}
