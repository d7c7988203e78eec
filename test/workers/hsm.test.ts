import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { openConnections } from '../bench/load.ts'
import { childrenOf, descendantsOf, hostsOf, isRunning } from '../bench/process-tree.ts'
import { isRight, makePair, type Call } from '../bench/request.ts'
import { changeConfig, startServing, type Serving } from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { freePort } from '../kmip/pykmip.ts'
import { faultModule, type FaultModule } from '../pkcs11/support/fault-module.ts'
import { PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { contosoPool } from '../support/gateway.ts'
import { metric } from '../support/metrics.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { SteadyStream, targetOf } from '../support/steady-stream.ts'
import { eventually } from '../support/eventually.ts'

const OTHER_PIN = '550273'
/** `expect.poll` does not work in concurrent tests. */
const settles = (assertion: () => void | Promise<void>) => eventually(assertion)
/** Longer than any call takes on a busy machine, so that a 408 is a lost call. */
const DEADLINE_MS = 10_000

const kek = randomBytes(32)
const dek = randomBytes(32)
let pki: Pki
let hsm: SoftHsm
let environment: Record<string, string>

beforeAll(async () => {
  pki = await makePki()
  hsm = softHsm()
  environment = { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' }
})
afterAll(() => hsm.remove())

const callsOf = (key: string) => makePair({ pathPrefix: 'contoso', key, alg: 'A256KW' }, dek, kw(aes256(kek), dek))
const calls = callsOf('aes')

let tokens = 0

/** A gateway with a token of its own, behind a module that counts the logins. */
class Gateway implements AsyncDisposable {
  readonly served: Serving
  readonly pid: number
  readonly module: FaultModule
  readonly #label: string

  private constructor(served: Serving, module: FaultModule, label: string) {
    this.served = served
    this.pid = served.cli.process.pid ?? 0
    this.module = module
    this.#label = label
  }

  static async start(workers: number, sessions: number, watch = false, port = 0): Promise<Gateway> {
    const label = `workers-${++tokens}`
    hsm.initToken(label)
    onToken(label, (objects) => {
      for (const key of ['aes', 'later']) objects.aes(key, {}, kek)
    })
    const module = faultModule(hsm, label)
    const served = await startServing(
      pki,
      [],
      {
        workers,
        listen: { port },
        top: { reload: { watch } },
        limits: { deadlineMs: DEADLINE_MS },
        admin: { port: 0 },
        files: { pin: PIN },
        backend: { kind: 'pkcs11', module: module.path, token: { label }, pin: { file: 'pin' }, sessions },
        pools: [contosoPool('contoso', { aes: {} })],
      },
      { environment },
    )
    return new Gateway(served, module, label)
  }

  changePin(): void {
    onToken(this.#label, (objects) => objects.setPin(PIN, OTHER_PIN))
  }

  /** The processes that serve. A single process has no children that do. */
  get workers(): number[] {
    const children = childrenOf(this.pid)
    return this.served.logged('listening').some(({ workers }) => workers !== undefined) ? children : [this.pid]
  }

  /** The HSM hosts of each serving process. Each host has a session. */
  get hosts(): number[][] {
    return this.workers.map(hostsOf)
  }

  metric(series: string): Promise<number> {
    return metric(Number(this.served.logged('admin_listening')[0]?.['port']), series)
  }

  openSessions(): Promise<number> {
    return this.metric('ekm_backend_connections{backend="store"}')
  }

  /** Resolves when this many sessions are open, and no process of a closed session is left. */
  async has(sessions: number): Promise<void> {
    await settles(async () => expect(await this.openSessions()).toBe(sessions))
    await settles(() => expect(this.hosts.flat().length).toBe(sessions))
  }

  async isRight(call: Call | undefined): Promise<boolean> {
    return call !== undefined && isRight(call, await askOnce(targetOf(this.served.port, pki), call.request))
  }

  /** The record of the reload that SIGHUP causes. */
  async reload(event: 'reloaded' | 'reload_failed' = 'reloaded'): Promise<Readonly<Record<string, unknown>>> {
    const { cli, logged } = this.served
    const before = logged(event).length
    cli.kill('SIGHUP')
    await settles(() => expect(logged(event).length).toBeGreaterThan(before))
    return logged(event)[before] ?? {}
  }

  async end(): Promise<void> {
    const { cli } = this.served
    const hosts = this.hosts.flat()
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    await settles(() => expect(hosts.filter(isRunning)).toEqual([]))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.served.remove()
  }
}

const lengths = (lists: readonly (readonly number[])[]) => lists.map(({ length }) => length).sort()

describe('workers with an HSM', () => {
  it('share the sessions, even after one was replaced', { timeout: 90_000 }, async () => {
    await using gateway = await Gateway.start(2, 5)
    await gateway.has(5)
    expect(lengths(gateway.hosts)).toEqual([2, 3])
    expect(await gateway.metric('ekm_backend_connections_wanted{backend="store"}')).toBe(5)

    const lost = () => gateway.metric('ekm_hsm_hosts_lost_total{backend="store"}')
    expect(await lost()).toBe(0)
    process.kill(gateway.hosts[0]?.[0] ?? 0, 'SIGKILL')
    await settles(async () => expect(await lost()).toBe(1))
    await gateway.has(5)

    const [victim = 0] = gateway.workers
    const orphans = descendantsOf(victim)
    process.kill(victim, 'SIGKILL')
    await settles(() => expect(gateway.served.logged('worker_replaced')).toHaveLength(1))
    await settles(() => expect(orphans.filter(isRunning)).toEqual([]))
    await gateway.has(5)
    expect(lengths(gateway.hosts)).toEqual([2, 3])
    await gateway.end()
  })

  it('have one session each if there are fewer sessions than workers', { timeout: 90_000 }, async () => {
    await using gateway = await Gateway.start(2, 1)
    await gateway.has(2)
    expect(lengths(gateway.hosts)).toEqual([1, 1])
    await gateway.end()
  })

  it.each([1, 2])(
    'lose no request to a reload and leave no session behind, with workers: %i',
    { timeout: 120_000 },
    async (workers) => {
      await using gateway = await Gateway.start(workers, 2)
      const { module, served } = gateway
      await gateway.has(2)
      for (const call of calls) await settles(async () => expect(await gateway.isRight(call)).toBe(true))
      const stream = new SteadyStream(await openConnections(targetOf(served.port, pki), 4), calls, 60)
      const first = gateway.hosts

      // A reload that does not concern the backend keeps its sessions.
      const [added] = callsOf('later')
      expect(await gateway.isRight(added)).toBe(false)
      await changeConfig(served, ({ limits, pools }) => {
        Object.assign(limits ?? {}, { maxBodyBytes: 2048 })
        Object.assign(pools?.[0] ?? {}, { keys: { aes: {}, later: {} } })
      })
      expect(await gateway.reload()).toMatchObject({ changed: 'limits.maxBodyBytes, pools.contoso' })
      await settles(async () => expect(await gateway.isRight(added)).toBe(true))
      expect(gateway.hosts).toEqual(first)

      await changeConfig(served, ({ backends }) => Object.assign(backends?.['store'] ?? {}, { sessions: 4 }))
      expect(await gateway.reload()).toMatchObject({ changed: 'backends.store' })
      await gateway.has(4)
      await settles(() => expect(first.flat().filter(isRunning)).toEqual([]))

      const second = gateway.hosts
      gateway.changePin()
      module.logins()
      expect(await gateway.reload()).toMatchObject({ changed: '' })
      await served.workspace.write('pin', '000000')
      expect(await gateway.reload('reload_failed')).toMatchObject({ reason: 'LOGIN_REFUSED' })
      expect(module.logins()).toBe(1)
      // Another file, or the operator's impatience.
      expect(await gateway.reload('reload_failed')).toMatchObject({
        reason: 'LOGIN_REFUSED',
        message: expect.stringMatching(/has refused this login before, and it was not tried again/) as string,
      })
      expect(module.logins()).toBe(0)
      expect(gateway.hosts).toEqual(second)
      await served.workspace.write('pin', OTHER_PIN)
      expect(await gateway.reload()).toMatchObject({ changed: 'backends.store' })
      await gateway.has(4)
      await settles(() => expect(second.flat().filter(isRunning)).toEqual([]))

      const { right } = stream
      await settles(() => expect(stream.right).toBeGreaterThan(right + 20))
      await stream.stop()
      expect(stream.failures).toEqual([])
      expect(stream.right).toBe(stream.sent)
      await gateway.end()
    },
  )
})

// These tests run side by side because they mostly wait.
describe.concurrent('workers whose PIN is refused', () => {
  it('are not started again before a reload that is about them', { timeout: 90_000 }, async () => {
    await using gateway = await Gateway.start(2, 2, true)
    const { module, served } = gateway
    const { logged, workspace } = served
    await gateway.has(2)
    await settles(async () => expect(await gateway.isRight(calls[0])).toBe(true))
    gateway.changePin()
    module.logins()

    const [victim = 0, survivor = 0] = gateway.workers
    process.kill(victim, 'SIGKILL')
    await settles(() =>
      expect(logged('worker_failed')).toMatchObject([
        { level: 'error', reason: 'LOGIN_REFUSED', message: expect.stringContaining('CKR_PIN_INCORRECT') as string },
      ]),
    )
    // Without the wait it would have been started again at once, and after 100, 200, 400 and 800 ms.
    await sleep(2500)
    expect(module.logins()).toBe(1)
    expect(logged('worker_failed')).toHaveLength(1)
    expect(await gateway.metric('ekm_logins_refused_total{backend=""}')).toBe(1)
    expect(gateway.workers).toEqual([survivor])
    for (const call of [...calls, ...calls]) expect(await gateway.isRight(call)).toBe(true)

    // As a timer does that fetches a revocation list.
    await workspace.write('client-ca.pem', `${pki.clientCa.certificate}\n${pki.serverCa.certificate}`)
    await settles(() => expect(logged('reloaded')).toMatchObject([{ cause: 'file', changed: 'pools.contoso' }]))
    await sleep(1000)
    expect(module.logins()).toBe(0)
    await gateway.reload()
    await settles(() => expect(logged('worker_failed')).toHaveLength(2))
    expect(module.logins()).toBe(0)
    expect(gateway.workers).toEqual([survivor])

    await workspace.write('pin', OTHER_PIN)
    await settles(() => expect(logged('worker_replaced')).toHaveLength(1))
    expect(gateway.workers).toHaveLength(2)
    await gateway.has(2)
    for (const call of [...calls, ...calls]) expect(await gateway.isRight(call)).toBe(true)
    await gateway.end()
  })

  it('are started by a reload, also if none is left', { timeout: 90_000 }, async () => {
    // The system would choose another one for the new workers.
    await using gateway = await Gateway.start(2, 2, false, await freePort())
    const { module, served } = gateway
    const { logged, workspace } = served
    await gateway.has(2)
    gateway.changePin()
    for (const worker of gateway.workers) process.kill(worker, 'SIGKILL')
    await settles(() => expect(logged('worker_failed')).toHaveLength(2))
    module.logins()
    expect(await gateway.reload('reload_failed')).toMatchObject({ reason: 'LOGIN_REFUSED' })
    expect(module.logins()).toBe(0)
    await workspace.write('pin', OTHER_PIN)
    await gateway.reload()
    await settles(() => expect(logged('worker_replaced')).toHaveLength(2))
    await gateway.has(2)
    for (const call of calls) expect(await gateway.isRight(call)).toBe(true)
    await gateway.end()
  })

  it('try it once, however long the HSM takes to refuse it', { timeout: 90_000 }, async () => {
    await using gateway = await Gateway.start(1, 1, true)
    const { module, served } = gateway
    const { logged, workspace } = served
    await gateway.has(1)
    // The watcher of the files looks at them three times meanwhile.
    module.script('C_Login delay 6500')
    module.logins()
    await workspace.write('pin', '000000')
    expect(await gateway.reload('reload_failed')).toMatchObject({ cause: 'SIGHUP', reason: 'LOGIN_REFUSED' })
    await sleep(1500)
    module.script()
    expect(module.logins()).toBe(1)
    expect(logged('reload_failed')).toHaveLength(1)
    await gateway.end()
  })
})
