import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { AdapterError, Secret } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/kmip/index.ts'
import type { KmipServerOptions } from '../../adapters/kmip/options.ts'
import { operation, resultReason } from '../../adapters/kmip/protocol/numbers.ts'
import { Connection } from '../../adapters/kmip/transport/connection.ts'
import { tlsOptions } from '../../adapters/kmip/transport/tls.ts'
import { callContext, rejection } from '../contract/suite.ts'
import { Reports, secret } from '../software/fixtures.ts'
import { issue, makePki, type Pki } from '../support/pki.ts'
import { kmipFixture, ref, within } from './kmip-fixture.ts'
import { freePort } from './pykmip.ts'
import { cosmianLike } from './server/behaviour.ts'
import { KmipTestServer } from './server/kmip-server.ts'
import { atRest } from './support/at-rest.ts'
import { startTlsServer } from './support/tls-server.ts'
import { startTestServer } from './test-server.ts'

const dek = randomBytes(32)
const silent = () => undefined
/** Milliseconds for what a busy machine does too. */
const PATIENT_MS = 15_000

describe('connections to a KMIP server', () => {
  it('are at most as many as configured, and are used again', async () => {
    await using fixture = await kmipFixture({}, { connections: 3 })
    const { adapter, server } = fixture
    await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    const before = server.accepted
    for (let round = 0; round < 3; round++) {
      await Promise.all(Array.from({ length: 40 }, () => adapter.wrap(ref('aes'), 'A256KW', dek, callContext())))
    }
    expect(server.connections).toBeLessThanOrEqual(3)
    expect(server.accepted - before).toBeLessThanOrEqual(3)
  })

  it('that the server drops while they are idle cost no call', async () => {
    await using fixture = await kmipFixture({}, { connections: 4 })
    const { adapter, server } = fixture
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 8 }, () => adapter.wrap(ref('aes'), 'A256KW', dek, within(PATIENT_MS))))
      server.dropConnections()
      // A call must not fail if the news of the closed connection has not arrived yet.
      if (round % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })

  it('that the server closes after a while of silence are replaced', async () => {
    await using fixture = await kmipFixture()
    const { adapter, server } = fixture
    server.idleMs = 1000
    server.dropConnections()
    for (let round = 0; round < 3; round++) {
      await adapter.wrap(ref('aes'), 'A256KW', dek, within(PATIENT_MS))
      await new Promise((resolve) => setTimeout(resolve, 985 + 15 * round))
    }
  })

  it('may be dropped by the server for their age before their first request', async () => {
    await using fixture = await kmipFixture()
    const { options } = fixture
    const [server] = options.servers
    const connection = await Connection.open(tlsOptions(server as KmipServerOptions, options), PATIENT_MS)
    expect(connection.isSettled).toBe(false)
    await expect.poll(() => connection.isSettled).toBe(true)
    connection.close()
  })

  it('are closed after a request that was written and then cancelled, which is not sent again', async () => {
    await using fixture = await kmipFixture({}, { connections: 1 })
    const { adapter, server } = fixture
    await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    await atRest(server)
    const [accepted, received] = [server.accepted, server.received.length]
    server.fault = { kind: 'slow', operation: operation.Encrypt }
    const controller = new AbortController()
    const reason = new AdapterError('CANCELLED', 'the caller went away')
    const call = adapter.wrap(ref('aes'), 'A256KW', dek, callContext(controller.signal))
    await expect.poll(() => server.received.slice(received)).toContain(operation.Encrypt)
    controller.abort(reason)
    expect(await rejection(call)).toBe(reason)
    server.fault = undefined
    // The late reply must not be taken for the reply to this call.
    const other = randomBytes(32)
    const wrapped = await adapter.wrap(ref('aes'), 'A256KW', other, callContext())
    expect(Buffer.compare(await adapter.unwrap(ref('aes'), 'A256KW', wrapped, callContext()), other)).toBe(0)
    expect(server.received.slice(received).filter((code) => code === operation.Encrypt)).toHaveLength(2)
    // On a busy machine the adapter also examines the server on a fresh connection.
    expect(server.accepted).toBeGreaterThan(accepted)
  })

  it('send no part of a call that is cancelled while it waits for one', async () => {
    await using fixture = await kmipFixture({}, { connections: 1 })
    const { adapter, server } = fixture
    await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    await atRest(server)
    server.fault = { kind: 'slow', operation: operation.Encrypt }
    const received = server.received.length
    const first = adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    const second = rejection(adapter.wrap(ref('aes'), 'A256KW', dek, within(10)))
    expect((await second).code).toBe('DEADLINE_EXCEEDED')
    await first
    expect(server.received.slice(received).filter((code) => code === operation.Encrypt)).toHaveLength(1)
  })

  it('recover by themselves after the server was away', async () => {
    await using fixture = await kmipFixture()
    const { adapter, server, reports } = fixture
    await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    await server.stop()
    expect((await rejection(adapter.wrap(ref('aes'), 'A256KW', dek, within(PATIENT_MS)))).code).toBe(
      'BACKEND_UNAVAILABLE',
    )
    // Calls do not wait for a server that is known to be away: they fail in the turn of the event loop that they are in.
    for (let call = 0; call < 50; call++) {
      const failed = rejection(adapter.wrap(ref('aes'), 'A256KW', dek, within(PATIENT_MS))).then(({ code }) => code)
      expect(await Promise.race([failed, nextTurn('waits')])).toBe('BACKEND_UNAVAILABLE')
    }
    await server.start()
    await expect
      .poll(() => adapter.wrap(ref('aes'), 'A256KW', dek, within(PATIENT_MS)).then(() => 'well', String))
      .toBe('well')
    expect(reports.all.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['kmip_server_unreachable', 'kmip_server_back']),
    )
  })

  it('do not go to a server whose certificate has changed to one of another CA', async () => {
    await using fixture = await kmipFixture()
    const { adapter, server, pki } = fixture
    await adapter.probe(callContext())
    const impostorCa = await issue({ commonName: 'another CA', usage: 'authority' })
    const impostor = await issue({ commonName: 'localhost', usage: 'server', hosts: ['127.0.0.1'] }, impostorCa)
    await server.stop()
    await server.start(impostor)
    expect((await rejection(adapter.probe(within(PATIENT_MS)))).code).toBe('BACKEND_UNAVAILABLE')
    const received = server.received.length
    await rejection(adapter.wrap(ref('aes'), 'A256KW', dek, within(PATIENT_MS)))
    expect(server.received).toHaveLength(received)
    await server.stop()
    await server.start(await issue({ commonName: 'renewed', usage: 'server', hosts: ['127.0.0.1'] }, pki.serverCa))
    await expect.poll(() => adapter.probe(within(PATIENT_MS)).then(() => 'well', String)).toBe('well')
  })
})

describe('an adapter with several KMIP servers', () => {
  it('is served by the next while the first is away, and by the first again when it is back', async () => {
    await using first = await kmipFixture()
    const port = await freePort()
    const adapter = await open(
      { ...first.options, servers: [...first.options.servers, { host: '127.0.0.1', port }] },
      silent,
    )
    await adapter.probe(callContext())
    const replica = await startReplica(first, port)
    await first.server.stop()
    await expect.poll(() => adapter.probe(within(PATIENT_MS)).then(() => 'well', String)).toBe('well')
    expect(replica.received.length).toBeGreaterThan(0)
    await first.server.start()
    const before = first.server.received.length
    await expect
      .poll(async () => {
        await adapter.probe(within(PATIENT_MS)).catch(() => undefined)
        return first.server.received.length - before
      })
      .toBeGreaterThan(2)
    await adapter.close()
    await replica.stop()
  })

  it('skips a hanging server as soon as one call gets no answer', async () => {
    await using first = await kmipFixture()
    const port = await freePort()
    const replica = await startReplica(first, port)
    const adapter = await open(
      { ...first.options, servers: [...first.options.servers, { host: '127.0.0.1', port }] },
      silent,
    )
    const describe = (key: string, ms: number) => rejection(adapter.describe(ref(key), within(ms)))
    expect((await describe('absent', PATIENT_MS)).code).toBe('KEY_NOT_FOUND')
    first.server.fault = { kind: 'hang' }
    expect((await describe('late', 200)).code).toBe('DEADLINE_EXCEEDED')
    // The replica does not have it, and the first server may have it.
    expect((await describe('other', PATIENT_MS)).code).toBe('BACKEND_UNAVAILABLE')
    expect(replica.received).toContain(operation.Locate)
    await adapter.close()
    await replica.stop()
  })
})

/** A second server with the certificates of the first. */
async function startReplica({ pki }: { readonly pki: Pki }, port: number): Promise<KmipTestServer> {
  const server = new KmipTestServer(cosmianLike, pki.server, pki.clientCa.certificate, port)
  await server.start()
  return server
}

describe('opening the KMIP adapter', () => {
  it('stops at a server certificate of another CA', async () => {
    const { server, options } = await startTestServer()
    const { certificate } = await issue({ commonName: 'another CA', usage: 'authority' })
    const opened = open({ ...options, tls: { ...options.tls, ca: Buffer.from(certificate) } }, silent)
    await expect(opened).rejects.toMatchObject({ name: 'OperatorError', code: 'KMIP_TLS_REFUSED' })
    await server.stop()
  })

  it('stops where the server says after the handshake that it refuses the client certificate, as in TLS 1.3', async () => {
    const pki = await makePki()
    const { certificate, key } = await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.serverCa)
    await using server = await startTlsServer(pki)
    const tls = {
      ca: Buffer.from(pki.serverCa.certificate),
      certificate: Buffer.from(certificate),
      key: new Secret(Buffer.from(key)),
    }
    // The alert and the end of the connection arrive at nearly the same time.
    for (let attempt = 0; attempt < 20; attempt++) {
      const opened = open({ servers: [{ host: '127.0.0.1', port: server.port }], tls }, silent)
      const error: unknown = await opened.catch((reason: unknown) => reason)
      expect(error).toMatchObject({ name: 'OperatorError', code: 'KMIP_TLS_REFUSED' })
      expect(String(error)).toMatch(/does not accept this client's certificate: ERR_SSL_\w+_ALERT_UNKNOWN_CA$/)
    }
  })

  it('stops at a server certificate of another name', async () => {
    const { server, options, pki } = await startTestServer()
    await server.stop()
    await server.start(await issue({ commonName: 'x', usage: 'server', hosts: ['kms.example'] }, pki.serverCa))
    await expect(open(options, silent)).rejects.toMatchObject({ code: 'KMIP_TLS_REFUSED' })
    const named = await open({ ...options, tls: { ...options.tls, serverName: 'kms.example' } }, silent)
    await named.probe(callContext())
    await named.close()
    await server.stop()
  })

  it.each([
    { what: 'a private key that cannot be read', change: { key: new Secret(Buffer.from('no key')) } },
    { what: 'ciphers that do not exist', change: { ciphers: 'NONE-SUCH' } },
  ])('stops at $what', async ({ change }) => {
    const { server, options } = await startTestServer()
    const opened = open({ ...options, tls: { ...options.tls, ...change } }, silent)
    await expect(opened).rejects.toMatchObject({ name: 'OperatorError', code: 'KMIP_TLS_INVALID' })
    await server.stop()
  })

  it.each([{ servers: [] }, { connections: 0 }, { connections: 65 }, { connections: 1.5 }])(
    'stops at %j',
    async (change) => {
      const { server, options } = await startTestServer()
      await expect(open({ ...options, ...change }, silent)).rejects.toMatchObject({ code: 'KMIP_OPTION_INVALID' })
      await server.stop()
    },
  )

  it('opens even if no server can be reached, and serves when one can', async () => {
    const { server, options } = await startTestServer()
    await server.stop()
    const adapter = await open(options, silent)
    expect((await rejection(adapter.probe(within(PATIENT_MS)))).code).toBe('BACKEND_UNAVAILABLE')
    await server.start()
    await expect.poll(() => adapter.probe(within(PATIENT_MS)).then(() => 'well', String)).toBe('well')
    await adapter.close()
    await server.stop()
  })

  it('goes on where the server gives the reason of a refused login for one key alone', async () => {
    const reasons = { ...cosmianLike.reasons, notDescribed: resultReason.AuthenticationNotSuccessful }
    await using fixture = await kmipFixture({ reasons })
    const { adapter, reports } = fixture
    const refused = await rejection(adapter.describe(ref('kmip:id=absent'), within(PATIENT_MS)))
    expect(refused.code).toBe('BACKEND_UNAVAILABLE')
    expect((await adapter.describe(ref('aes'), within(PATIENT_MS))).kty).toBe('oct')
    expect(reports.all.map(({ event }) => event)).not.toContain('kmip_server_unreachable')
  })

  describe('whose password is changed on the server', () => {
    const CONNECTIONS = 8
    const ours = 'correct horse battery staple'
    const login = (password: string) => ({ credentials: { username: 'ekm', password } })

    async function start() {
      const { server, options } = await startTestServer(login(ours))
      /** How many logins the server has got since. Each request is one. */
      const logins = () => {
        const before = server.received.length
        return () => server.received.length - before
      }
      const reports = new Reports()
      const credentials = { username: 'ekm', password: secret(ours) }
      const adapter = await open({ ...options, credentials, connections: CONNECTIONS }, reports.report)
      const changePassword = () => {
        const { operations } = server
        operations.behaviour = { ...operations.behaviour, ...login('another') }
      }
      const ask = () =>
        Promise.allSettled([adapter.describe(ref('absent'), within(PATIENT_MS)), adapter.probe(within(PATIENT_MS))])
      const codes = () => reports.all.flatMap(({ fields: { code } }) => code ?? [])
      /** How often it logs in while everybody asks for it. */
      const loginsWhileAsked = async () => {
        await atRest(server)
        const before = server.received.length
        for (let round = 0; round < 100; round += 1) {
          await Promise.all([ask(), ask(), ask()])
          await sleep(20)
        }
        return server.received.length - before
      }
      const stop = async () => {
        await adapter.close()
        await server.stop()
      }
      return { server, adapter, changePassword, ask, codes, loginsWhileAsked, logins, stop }
    }

    it('makes no login for those who ask, also if the server was away before', async () => {
      const { server, changePassword, ask, codes, loginsWhileAsked, stop } = await start()
      await server.stop()
      await ask()
      changePassword()
      await server.start()
      const told = () => ask().then(codes)
      await expect.poll(told).toEqual(['ECONNREFUSED', 'AUTHENTICATION_NOT_SUCCESSFUL'])
      expect(await loginsWhileAsked()).toBe(0)
      await stop()
    })

    it('makes no login for those who ask, once a request was refused', async () => {
      const { changePassword, ask, codes, loginsWhileAsked, stop } = await start()
      await ask()
      changePassword()
      await ask()
      expect(codes()).toEqual(['AUTHENTICATION_NOT_SUCCESSFUL'])
      expect(await loginsWhileAsked()).toBe(0)
      await stop()
    })

    /** As many connections as there may be, all idle. */
    async function startBusy() {
      const started = await start()
      const { server, adapter } = started
      const describeSome = (count: number) =>
        Promise.allSettled(
          Array.from({ length: count }, (_, at) =>
            adapter.describe(ref(`kmip:id=${server.received.length}-${at}`), within(5000)),
          ),
        )
      server.fault = { kind: 'slow' }
      await expect.poll(() => describeSome(3 * CONNECTIONS).then(() => server.connections)).toBe(CONNECTIONS)
      server.fault = undefined
      return { ...started, describeSome }
    }

    it('gets one login of a probe, however many connections are idle', async () => {
      const { adapter, changePassword, codes, logins, stop } = await startBusy()
      changePassword()
      const made = logins()
      await rejection(adapter.probe(within(2000)))
      await expect.poll(codes).toEqual(['AUTHENTICATION_NOT_SUCCESSFUL'])
      expect(made()).toBe(1)
      await stop()
    })

    it('gets one login from connections that are kept alive', { timeout: 30_000 }, async () => {
      const { changePassword, codes, logins, stop } = await startBusy()
      changePassword()
      const made = logins()
      await expect.poll(codes, { timeout: 20_000 }).toEqual(['AUTHENTICATION_NOT_SUCCESSFUL'])
      await sleep(200)
      expect(made()).toBe(1)
      await stop()
    })

    it('gets no more logins than requests under way and one, however many others wait', async () => {
      const { server, changePassword, describeSome, codes, logins, stop } = await startBusy()
      changePassword()
      const made = logins()
      const outcomes = await describeSome(10 * CONNECTIONS)
      expect(outcomes.map(({ status }) => status)).not.toContain('fulfilled')
      expect(codes()).toEqual(['AUTHENTICATION_NOT_SUCCESSFUL'])
      expect(made()).toBeLessThanOrEqual(CONNECTIONS + 1)
      expect(server.connections).toBeLessThanOrEqual(CONNECTIONS + 1)
      await stop()
    })

    it('is asked again after 15 s, and after pauses that double, up to 5 minutes', { timeout: 60_000 }, async () => {
      const { ask, changePassword, adapter, server, codes, logins, stop } = await start()
      vi.spyOn(Math, 'random').mockReturnValue(0.5)
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      changePassword()
      await rejection(adapter.probe(within(2000)))
      expect(codes()).toEqual(['AUTHENTICATION_NOT_SUCCESSFUL'])
      for (const seconds of [15, 30, 60, 120, 240, 300, 300]) {
        const made = logins()
        vi.advanceTimersByTime(seconds * 1000 - 1)
        await ask()
        expect(made()).toBe(0)
        vi.advanceTimersByTime(1)
        while (made() === 0) await sleep(5)
        // The next pause begins with the reply.
        await sleep(300)
        expect(made()).toBe(1)
      }
      vi.useRealTimers()
      vi.restoreAllMocks()
      expect(server.connections).toBeLessThanOrEqual(1)
      await stop()
    })
  })

  it('sends user name and password in every request, and shows them nowhere else', async () => {
    const password = 'correct horse battery staple'
    const fixture = await startTestServer({ credentials: { username: 'ekm', password } })
    const lines: string[] = []
    const report = (...line: readonly unknown[]) => lines.push(JSON.stringify(line))
    const right = await open(
      { ...fixture.options, credentials: { username: 'ekm', password: secret(password) } },
      report,
    )
    await right.probe(callContext())
    expect((await rejection(right.describe(ref('absent'), callContext()))).code).toBe('KEY_NOT_FOUND')
    await right.close()
    const wrong = open({ ...fixture.options, credentials: { username: 'ekm', password: secret('hunter2') } }, report)
    const error = await wrong.catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'OperatorError', code: 'KMIP_LOGIN_REFUSED' })
    await fixture.server.stop()
    expect(`${lines.join()} ${String(error)}`).not.toMatch(/correct horse|hunter2/)
  })
})
