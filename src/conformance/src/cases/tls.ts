import { checkServerIdentity, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Case } from '../case.ts'
import { openSession } from '../sessions.ts'
import { notApplicable, reasonOf, type Probe } from '../probe.ts'

const clause = 'Who calls, how'

/** The result of a handshake with these options: what was negotiated, or why it failed. */
async function handshake(probe: Probe, options: ConnectionOptions): Promise<{ came: string; socket?: TLSSocket }> {
  try {
    const socket = await probe.connect(options)
    const came = `${socket.getProtocol() ?? ''} ${socket.getCipher().name}`
    socket.destroy()
    return { came, socket }
  } catch (error) {
    return { came: `no connection (${reasonOf(error)})` }
  }
}

const suite = (id: string, name: string): Case => ({
  id: `tls.${id}`,
  clause,
  severity: 'must',
  title: `the suite ${name} is taken where it is the only one offered`,
  run: async (probe) => {
    const { came, socket } = await handshake(probe, { minVersion: 'TLSv1.3', ciphers: name })
    probe.check({ sent: `TLS 1.3 with ${name}`, expected: `TLSv1.3 ${name}`, came }, socket !== undefined)
  },
})

export const tlsCases: readonly Case[] = [
  {
    id: 'tls.version',
    clause,
    severity: 'must',
    title: 'TLS 1.3 is spoken',
    run: async (probe) => {
      const { came, socket } = await handshake(probe, { minVersion: 'TLSv1.3' })
      probe.check({ sent: 'TLS 1.3', expected: 'a connection', came }, socket !== undefined)
    },
  },
  {
    id: 'tls.no-older-version',
    clause,
    severity: 'must',
    title: 'TLS 1.2 and older are not spoken',
    run: async (probe) => {
      for (const version of ['TLSv1.2', 'TLSv1.1', 'TLSv1'] as const) {
        const options = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' } as const
        const { came, socket } = await handshake(probe, options)
        probe.check({ sent: `${version} only`, expected: 'no connection', came }, socket === undefined)
      }
    },
  },
  suite('suite-aes-256', 'TLS_AES_256_GCM_SHA384'),
  suite('suite-aes-128', 'TLS_AES_128_GCM_SHA256'),
  {
    id: 'tls.no-other-suite',
    clause,
    severity: 'should',
    title: 'no suite beside the two of the API is taken',
    run: async (probe) => {
      const ciphers = 'TLS_CHACHA20_POLY1305_SHA256'
      const { came, socket } = await handshake(probe, { minVersion: 'TLSv1.3', ciphers })
      probe.check({ sent: `TLS 1.3 with ${ciphers}`, expected: 'no connection', came }, socket === undefined)
    },
  },
  {
    id: 'tls.alpn',
    clause,
    severity: 'should',
    title: 'HTTP/1.1 is spoken with a client that offers it, also beside HTTP/2',
    run: async (probe) => {
      for (const ALPNProtocols of [['http/1.1'], ['h2', 'http/1.1']]) {
        const offered = ALPNProtocols.join(', ')
        const socket = await probe.connect({ ALPNProtocols }).catch(() => undefined)
        const chosen = socket === undefined ? 'no connection' : socket.alpnProtocol || 'none'
        socket?.destroy()
        const step = { sent: `ALPN ${offered}`, expected: 'http/1.1, or none', came: chosen }
        probe.check(step, chosen === 'http/1.1' || chosen === 'none')
      }
    },
  },
  {
    id: 'tls.server-name',
    clause,
    severity: 'must',
    title: "the server certificate's name is the host's, or a wildcard for it",
    run: async (probe) => {
      const socket = await probe.connect()
      const certificate = socket.getPeerCertificate()
      socket.destroy()
      const error = checkServerIdentity(probe.target.host, certificate)
      const came = certificate.subjectaltname ?? `no subject alternative name`
      probe.check(
        { sent: `TLS 1.3 to ${probe.target.host}`, expected: 'a certificate for it', came },
        error === undefined,
      )
    },
  },
  {
    id: 'tls.resumption',
    clause,
    severity: 'should',
    title: 'a session is resumed on another connection',
    run: async (probe) => {
      const { resumed } = await openSession(probe)
      probe.check(
        {
          sent: 'a second connection with the session of the first',
          expected: 'the session resumed',
          came: 'a full handshake',
        },
        resumed,
      )
    },
  },
  {
    id: 'tls.resumed-serves',
    clause,
    severity: 'must',
    title: 'a client on a resumed session is served as before',
    run: async (probe) => {
      const { resumed, reply } = await openSession(probe)
      if (!resumed) notApplicable('no session was resumed')
      const step = {
        sent: 'info on a resumed session',
        expected: '200',
        came: reply ? probe.describeReply(reply) : 'no answer',
      }
      probe.check(step, reply?.status === 200)
    },
  },
]
