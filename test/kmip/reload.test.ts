import { randomBytes, X509Certificate } from 'node:crypto'
import { expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { openConnections } from '../bench/load.ts'
import { isRight, makePair, type Call } from '../bench/request.ts'
import { changeConfig, startServing } from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { contosoPool } from '../support/gateway.ts'
import { issue } from '../support/pki.ts'
import { SteadyStream, targetOf } from '../support/steady-stream.ts'
import { freePort } from './pykmip.ts'
import { activateIfNeeded, registerAes } from './register.ts'
import { kmipSection } from './support/backend-section.ts'
import { startTestServer } from './test-server.ts'

const PATIENCE = { timeout: 30_000, interval: 50 }
/** Longer than any call takes on a busy machine, so that a 408 is a lost call. */
const DEADLINE_MS = 10_000
const CONNECTIONS = 4
const FEWER_CONNECTIONS = 2

const fingerprintOf = (certificate: string | Uint8Array) => new X509Certificate(certificate).fingerprint256

it.each([1, 2])(
  'a reload loses no request and leaves no connection behind, with %i process(es) that serve',
  { timeout: 120_000 },
  async (workers) => {
    const kmip = await startTestServer()
    const { server, pki, options } = kmip
    const kek = randomBytes(32)
    const dek = randomBytes(32)
    const administrator = kmip.cluster()
    for (const name of ['aes', 'later']) {
      await activateIfNeeded(administrator, await registerAes(administrator, kek, { name }))
    }
    administrator.close()
    const callsOf = (key: string) => makePair({ pathPrefix: 'contoso', key, alg: 'A256KW' }, dek, kw(aes256(kek), dek))
    const { certificate } = options.tls
    const served = await startServing(pki, [], {
      workers,
      limits: { deadlineMs: DEADLINE_MS },
      // The test decides when files are read.
      top: { reload: { watch: false } },
      ...kmipSection(options, CONNECTIONS),
      pools: [contosoPool('contoso', { aes: {} })],
    })
    try {
      const { cli, logged, port, workspace } = served
      const target = targetOf(port, pki)
      const right = async (call: Call) => isRight(call, await askOnce(target, call.request))
      const reload = async (event: 'reloaded' | 'reload_failed' = 'reloaded') => {
        const before = logged(event).length
        cli.kill('SIGHUP')
        await expect.poll(() => logged(event).length, PATIENCE).toBeGreaterThan(before)
        return logged(event)[before]
      }
      const onlyFrom = (identity: string | Uint8Array) =>
        expect
          .poll(() => new Set(server.peers.map(({ fingerprint }) => fingerprint)), PATIENCE)
          .toEqual(new Set([fingerprintOf(identity)]))

      const calls = callsOf('aes')
      // Both workers have to examine the key first.
      for (const call of [...calls, ...calls]) await expect.poll(() => right(call), PATIENCE).toBe(true)
      const connections = await openConnections(target, 4)
      const stream = new SteadyStream(connections, calls, 60)
      await onlyFrom(certificate)

      // A reload that does not concern the backend keeps its connections.
      const [added] = callsOf('later')
      expect(await right(added)).toBe(false)
      await changeConfig(served, ({ limits, pools }) => {
        Object.assign(limits ?? {}, { maxBodyBytes: 2048 })
        Object.assign(pools?.[0] ?? {}, { keys: { aes: {}, later: {} } })
      })
      const before = server.peers
      expect(await reload()).toMatchObject({ changed: 'limits.maxBodyBytes, pools.contoso' })
      await expect.poll(() => right(added), PATIENCE).toBe(true)
      expect(server.peers).toEqual(expect.arrayContaining(before))

      const renewed = await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.clientCa)
      await workspace.write('kmip.pem', renewed.certificate)
      expect(await reload('reload_failed')).toMatchObject({ reason: 'CONFIG_INVALID' })
      await onlyFrom(certificate)
      await workspace.write('kmip.key', renewed.key)
      expect(await reload()).toMatchObject({ changed: 'backends.store' })
      await onlyFrom(renewed.certificate)
      expect(server.connections).toBeLessThanOrEqual(CONNECTIONS)

      // A working backend stays if the new server refuses the client, or does not exist.
      const stranger = await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.serverCa)
      await workspace.write('kmip.pem', stranger.certificate)
      await workspace.write('kmip.key', stranger.key)
      expect(await reload('reload_failed')).toMatchObject({ reason: 'BACKEND_UNUSABLE' })
      await workspace.write('kmip.pem', renewed.certificate)
      await workspace.write('kmip.key', renewed.key)
      const elsewhere = `127.0.0.1:${await freePort()}`
      await changeConfig(served, ({ backends }) => Object.assign(backends?.['store'] ?? {}, { servers: [elsewhere] }))
      expect(await reload('reload_failed')).toMatchObject({ reason: 'BACKEND_UNUSABLE' })
      await onlyFrom(renewed.certificate)

      await changeConfig(served, ({ backends }) =>
        Object.assign(backends?.['store'] ?? {}, {
          servers: [`127.0.0.1:${server.port}`],
          connections: FEWER_CONNECTIONS,
        }),
      )
      expect(await reload()).toMatchObject({ changed: 'backends.store' })
      const answered = stream.right
      await expect.poll(() => stream.right, PATIENCE).toBeGreaterThan(answered + 20)
      await expect.poll(() => server.connections, PATIENCE).toBeLessThanOrEqual(FEWER_CONNECTIONS)

      await stream.stop()
      expect(stream.failures).toEqual([])
      expect(stream.right).toBe(stream.sent)
      for (const connection of connections) connection.close()
      cli.kill('SIGTERM')
      expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
      await expect.poll(() => server.connections, PATIENCE).toBe(0)
    } finally {
      await served.remove()
      await server.stop()
    }
  },
)
