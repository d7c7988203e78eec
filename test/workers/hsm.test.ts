import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { openConnections } from '../bench/load.ts'
import { childrenOf, descendantsOf, hostsOf, isRunning } from '../bench/process-tree.ts'
import { isRight, makePair, type Call } from '../bench/request.ts'
import { changeConfig, startServing, type Serving } from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { faultModule, type FaultModule } from '../pkcs11/support/fault-module.ts'
import { PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { contosoPool } from '../support/gateway.ts'
import { metric } from '../support/metrics.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { SteadyStream, targetOf } from '../support/steady-stream.ts'

const OTHER_PIN = '550273'
const PATIENCE = { timeout: 30_000, interval: 50 }
/** Longer than a busy machine takes for anything here: a 408 would be a call that was lost. */
const DEADLINE_MS = 10_000

const kek = randomBytes(32)
const dek = randomBytes(32)
let pki: Pki
let hsm: SoftHsm
/** SoftHSM behind something that counts the logins. */
let module: FaultModule
let environment: Record<string, string>

beforeAll(async () => {
  pki = await makePki()
  hsm = softHsm()
  module = faultModule(hsm)
  const names = ['SOFTHSM2_CONF', 'FAULT_TARGET', 'FAULT_SCRIPT', 'FAULT_LOG']
  environment = Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']))
})
beforeEach(() => {
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    for (const key of ['aes', 'later']) objects.aes(key, {}, kek)
  })
})
afterAll(() => hsm.remove())

const callsOf = (key: string) => makePair({ pathPrefix: 'contoso', key, alg: 'A256KW' }, dek, kw(aes256(kek), dek))
const calls = callsOf('aes')

class Gateway implements AsyncDisposable {
  readonly served: Serving
  readonly pid: number

  private constructor(served: Serving) {
    this.served = served
    this.pid = served.cli.process.pid ?? 0
  }

  static async start(workers: number, sessions: number, watch = false): Promise<Gateway> {
    const served = await startServing(
      pki,
      [],
      {
        workers,
        top: { reload: { watch } },
        limits: { deadlineMs: DEADLINE_MS },
        admin: { port: 0 },
        files: { pin: PIN },
        backend: { kind: 'pkcs11', module: module.path, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions },
        pools: [contosoPool('contoso', { aes: {} })],
      },
      { environment },
    )
    return new Gateway(served)
  }

  /** The processes that serve; a lone one has no others. */
  get workers(): number[] {
    const children = childrenOf(this.pid)
    return this.served.logged('listening').some(({ workers }) => workers !== undefined) ? children : [this.pid]
  }

  /** Of each process that serves, its HSM hosts, which have a session each. */
  get hosts(): number[][] {
    return this.workers.map(hostsOf)
  }

  async openSessions(): Promise<number> {
    const port = Number(this.served.logged('admin_listening')[0]?.['port'])
    return metric(port, 'ekm_backend_connections{backend="store"}')
  }

  /** Resolves when so many sessions are open, and no process of one that is closed is left. */
  async has(sessions: number): Promise<void> {
    await expect.poll(() => this.openSessions(), PATIENCE).toBe(sessions)
    await expect.poll(() => this.hosts.flat().length, PATIENCE).toBe(sessions)
  }

  async isRight(call: Call | undefined): Promise<boolean> {
    return call !== undefined && isRight(call, await askOnce(targetOf(this.served.port, pki), call.request))
  }

  /** The record of the reload that SIGHUP makes. */
  async reload(event: 'reloaded' | 'reload_failed' = 'reloaded'): Promise<Readonly<Record<string, unknown>>> {
    const { cli, logged } = this.served
    const before = logged(event).length
    cli.kill('SIGHUP')
    await expect.poll(() => logged(event).length, PATIENCE).toBeGreaterThan(before)
    return logged(event)[before] ?? {}
  }

  async end(): Promise<void> {
    const { cli } = this.served
    const hosts = this.hosts.flat()
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    await expect.poll(() => hosts.filter(isRunning), PATIENCE).toEqual([])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.served.remove()
  }
}

const lengths = (lists: readonly (readonly number[])[]) => lists.map(({ length }) => length).sort()

it('workers share the sessions, also after one was replaced', { timeout: 90_000 }, async () => {
  await using gateway = await Gateway.start(2, 5)
  await gateway.has(5)
  expect(lengths(gateway.hosts)).toEqual([2, 3])

  const [victim = 0] = gateway.workers
  const orphans = descendantsOf(victim)
  process.kill(victim, 'SIGKILL')
  await expect.poll(() => gateway.served.logged('worker_replaced'), PATIENCE).toHaveLength(1)
  await expect.poll(() => orphans.filter(isRunning), PATIENCE).toEqual([])
  await gateway.has(5)
  expect(lengths(gateway.hosts)).toEqual([2, 3])
  await gateway.end()
})

it('every worker has a session, where there are fewer sessions than workers', { timeout: 90_000 }, async () => {
  await using gateway = await Gateway.start(2, 1)
  await gateway.has(2)
  expect(lengths(gateway.hosts)).toEqual([1, 1])
  await gateway.end()
})

it('a worker whose PIN is refused is not started again before a reload', { timeout: 90_000 }, async () => {
  await using gateway = await Gateway.start(2, 2)
  const { logged, workspace } = gateway.served
  await gateway.has(2)
  await expect.poll(() => gateway.isRight(calls[0]), PATIENCE).toBe(true)
  onToken('ekm', (objects) => objects.setPin(PIN, OTHER_PIN))
  module.logins()

  const [victim = 0, survivor = 0] = gateway.workers
  process.kill(victim, 'SIGKILL')
  await expect
    .poll(() => logged('worker_failed'), PATIENCE)
    .toMatchObject([
      { level: 'error', reason: 'LOGIN_REFUSED', message: expect.stringContaining('CKR_PIN_INCORRECT') as string },
    ])
  // It would have been started again at once, and then after 100, 200, 400, 800 ms.
  await sleep(2500)
  expect(module.logins()).toBe(1)
  expect(logged('worker_failed')).toHaveLength(1)
  expect(gateway.workers).toEqual([survivor])
  for (const call of [...calls, ...calls]) expect(await gateway.isRight(call)).toBe(true)

  await workspace.write('pin', OTHER_PIN)
  await gateway.reload()
  await expect.poll(() => logged('worker_replaced'), PATIENCE).toHaveLength(1)
  expect(gateway.workers).toHaveLength(2)
  await gateway.has(2)
  for (const call of [...calls, ...calls]) expect(await gateway.isRight(call)).toBe(true)
  await gateway.end()
})

it('a wrong PIN is tried once, however long the HSM takes to refuse it', { timeout: 90_000 }, async () => {
  await using gateway = await Gateway.start(1, 1, true)
  const { logged, workspace } = gateway.served
  await gateway.has(1)
  // Meanwhile whoever watches the files looks at them three times.
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

it.each([1, 2])(
  'a reload loses no request and leaves no session behind, with %i process(es) that serve',
  { timeout: 120_000 },
  async (workers) => {
    await using gateway = await Gateway.start(workers, 2)
    const { served } = gateway
    await gateway.has(2)
    for (const call of calls) await expect.poll(() => gateway.isRight(call), PATIENCE).toBe(true)
    const stream = new SteadyStream(await openConnections(targetOf(served.port, pki), 4), calls, 60)
    const first = gateway.hosts

    // What does not concern the backend leaves its sessions alone.
    const [added] = callsOf('later')
    expect(await gateway.isRight(added)).toBe(false)
    await changeConfig(served, ({ limits, pools }) => {
      Object.assign(limits ?? {}, { maxBodyBytes: 2048 })
      Object.assign(pools?.[0] ?? {}, { keys: { aes: {}, later: {} } })
    })
    expect(await gateway.reload()).toMatchObject({ changed: 'limits.maxBodyBytes, pools.contoso' })
    await expect.poll(() => gateway.isRight(added), PATIENCE).toBe(true)
    expect(gateway.hosts).toEqual(first)

    await changeConfig(served, ({ backends }) => Object.assign(backends?.['store'] ?? {}, { sessions: 4 }))
    expect(await gateway.reload()).toMatchObject({ changed: 'backends.store' })
    await gateway.has(4)
    await expect.poll(() => first.flat().filter(isRunning), PATIENCE).toEqual([])

    const second = gateway.hosts
    onToken('ekm', (objects) => objects.setPin(PIN, OTHER_PIN))
    module.logins()
    expect(await gateway.reload()).toMatchObject({ changed: '' })
    await served.workspace.write('pin', '000000')
    expect(await gateway.reload('reload_failed')).toMatchObject({ reason: 'LOGIN_REFUSED' })
    expect(module.logins()).toBe(1)
    expect(gateway.hosts).toEqual(second)
    await served.workspace.write('pin', OTHER_PIN)
    expect(await gateway.reload()).toMatchObject({ changed: 'backends.store' })
    await gateway.has(4)
    await expect.poll(() => second.flat().filter(isRunning), PATIENCE).toEqual([])

    const { right } = stream
    await expect.poll(() => stream.right, PATIENCE).toBeGreaterThan(right + 20)
    await stream.stop()
    expect(stream.failures).toEqual([])
    expect(stream.right).toBe(stream.sent)
    await gateway.end()
  },
)
