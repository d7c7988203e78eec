import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { aes256, kw } from '../contract/reference.ts'
import { askOnce } from '../bench/http-connection.ts'
import { isRight, makePair, type Call } from '../bench/request.ts'
import { faultModule, type FaultModule } from '../pkcs11/support/fault-module.ts'
import { PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { FaultyAdapter, type Fault } from '../support/faulty-adapter.ts'
import { aesKey, contosoPool, startTestGateway, writeGatewayFiles, type Settings } from '../support/gateway.ts'
import { metric } from '../support/metrics.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { makeWorkspace } from '../support/workspace.ts'
import { targetOf } from '../support/steady-stream.ts'
import { expectRefusal, run } from './cli.ts'
import { startServing, type Serving } from './serving.ts'

const EX_CONFIG = 78
const LABEL = 'ekm'
/** Longer than any step here takes on a busy machine. */
const DEADLINE_MS = 10_000

const kek = randomBytes(32)
const dek = randomBytes(32)
let pki: Pki
let hsm: SoftHsm
let module: FaultModule
let environment: Record<string, string>

beforeAll(async () => {
  pki = await makePki()
  hsm = softHsm()
  hsm.initToken(LABEL)
  onToken(LABEL, (objects) => objects.aes('aes', {}, kek))
  module = faultModule(hsm)
  environment = { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' }
})
afterAll(() => hsm.remove())

const callOf = (pathPrefix: string): Call => {
  const [call] = makePair({ pathPrefix, key: 'aes', alg: 'A256KW' }, dek, kw(aes256(kek), dek))
  if (call === undefined) throw new Error('there is no call')
  return call
}

/** A pool of the store and a pool of the HSM. Both have the same key. */
const settings = (workers: number, pkcs11: object = {}): Settings => ({
  workers,
  admin: { port: 0 },
  limits: { deadlineMs: DEADLINE_MS },
  backends: {
    hsm: { kind: 'pkcs11', module: module.path, token: { label: LABEL }, pin: { file: 'pin' }, sessions: 1, ...pkcs11 },
  },
  pools: [
    contosoPool('store', { aes: {} }),
    { ...contosoPool('hsm', { aes: {} }), name: 'of the HSM', backend: 'hsm' },
  ],
})

const keys = [aesKey('aes', kek)]

async function start(workers: number, pin = PIN, pkcs11: object = {}, watch = false): Promise<Serving> {
  const more = { files: { pin }, top: { reload: { watch } } }
  const serving = await startServing(pki, keys, { ...settings(workers, pkcs11), ...more }, { environment })
  onTestFinished(() => serving.remove())
  return serving
}
const answers = async ({ port }: Serving, prefix: string) => {
  const call = callOf(prefix)
  const reply = await askOnce(targetOf(port, pki), call.request)
  return isRight(call, reply) ? 'right' : reply.status
}

// A busy machine takes many seconds to start three processes and the hosts of each.
describe('a gateway whose HSM is away at the start', () => {
  it('serves its other pools at once, and the HSM’s pool when the HSM is there', async () => {
    hsm.hideTokens(true)
    const serving = await start(1)
    const admin = Number((await serving.logs('admin_listening'))['port'])
    const readiness = async (query: string) => (await fetch(`http://127.0.0.1:${admin}/readyz${query}`)).status
    expect(await answers(serving, 'store')).toBe('right')
    expect(await answers(serving, 'hsm')).toBe(502)
    expect([await readiness(''), await readiness('?pool=of+the+HSM')]).toEqual([200, 503])
    expect(await metric(admin, 'ekm_pool_ready{pool="of the HSM"}')).toBe(0)
    const message = expect.stringMatching(/no initialised token .*tries again.*names the wrong one/) as string
    expect(serving.logged('backend_away')).toMatchObject([
      { level: 'error', backend: 'hsm', reason: 'TOKEN_NOT_FOUND', message },
    ])
    hsm.hideTokens(false)
    expect(await serving.logs('backend_open')).toMatchObject({ level: 'info', backend: 'hsm' })
    expect(await answers(serving, 'hsm')).toBe('right')
    expect(await readiness('?pool=of+the+HSM')).toBe(200)
    // Exactly one setting was wrong.
    expect(['key_unusable', 'backend_down'].flatMap(serving.logged)).toEqual([])
    serving.cli.kill('SIGTERM')
    expect(await serving.cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  /** The place of the PIN beside the other settings: the setting `pin`, or within a URI. */
  const places: Readonly<Record<string, (directory: string) => object>> = {
    pin: () => ({}),
    'pin-source': (directory) => ({ token: `pkcs11:token=${LABEL}?pin-source=${directory}/pin`, pin: undefined }),
  }
  const told = { level: 'error', backend: 'hsm', reason: 'LOGIN_REFUSED' }
  const reload = async ({ cli, logged, logsTimes }: Serving, event = 'reloaded') => {
    const before = logged(event).length
    cli.kill('SIGHUP')
    await logsTimes(event, before + 1)
  }
  /** The logins so far, and those that would follow: another attempt comes within a second, another worker's within two. */
  const logins = async (workers: number) => {
    await sleep(1000 * workers + 500)
    return module.logins()
  }

  it.each([
    ['one process whose URI names the PIN', 1, 'pin-source'],
    ['two workers', 2, 'pin'],
  ] as const)(
    'tries a refused PIN once, and another one once: %s',
    { timeout: 180_000 },
    async (_what, workers, place) => {
      hsm.hideTokens(true)
      const folder = await makeWorkspace()
      onTestFinished(() => folder.remove())
      const outside = places[place]?.(folder.directory)
      await folder.write('pin', '000000')
      const serving = await start(workers, '000000', outside)
      const write = (pin: string) => Promise.all([serving.workspace, folder].map((at) => at.write('pin', pin)))
      module.logins()
      hsm.hideTokens(false)
      expect(await serving.logs('backend_given_up')).toMatchObject(told)
      expect(await logins(workers)).toBe(1)
      expect([await answers(serving, 'store'), await answers(serving, 'hsm')]).toEqual(['right', 502])

      await reload(serving)
      expect(await logins(workers)).toBe(0)
      await write('111111')
      await reload(serving, 'reload_failed')
      expect(await logins(workers)).toBe(1)
      await reload(serving, 'reload_failed')
      await write('000000')
      await reload(serving)
      expect(await logins(workers)).toBe(0)
      expect(await answers(serving, 'hsm')).toBe(502)

      await write(PIN)
      await reload(serving)
      for (let calls = 0; calls < 4; calls += 1) expect(await answers(serving, 'hsm')).toBe('right')
      serving.cli.kill('SIGTERM')
      expect(await serving.cli.ended).toMatchObject({ code: 0, stderr: '' })
    },
  )

  it.each([1, 2])(
    'sees that the file of the PIN has changed, with workers: %i',
    { timeout: 180_000 },
    async (workers) => {
      hsm.hideTokens(true)
      const folder = await makeWorkspace()
      onTestFinished(() => folder.remove())
      await folder.write('pin', '000000')
      const serving = await start(workers, '000000', places['pin-source']?.(folder.directory), true)
      hsm.hideTokens(false)
      await serving.logs('backend_given_up')
      module.logins()
      await folder.write('pin', PIN)
      expect(await serving.logs('reloaded')).toMatchObject({ cause: 'file', changed: 'backends.hsm' })
      expect(await answers(serving, 'hsm')).toBe('right')
    },
  )

  it('takes a PIN that is corrected while the HSM is still away', async () => {
    hsm.hideTokens(true)
    const serving = await start(1, '000000')
    await serving.workspace.write('pin', PIN)
    serving.cli.kill('SIGHUP')
    await serving.logs('reloaded')
    module.logins()
    hsm.hideTokens(false)
    await serving.logs('backend_open')
    expect(serving.logged('backend_given_up')).toEqual([])
    expect(await answers(serving, 'hsm')).toBe('right')
  })

  it('looks again, after SIGHUP, for what was wrong beside the PIN', async () => {
    const twin = 'twin'
    hsm.hideTokens(false)
    hsm.initToken(twin)
    hsm.initSecond(twin)
    hsm.hideTokens(true)
    const serving = await start(1, PIN, { token: { label: twin } })
    hsm.hideTokens(false)
    expect(await serving.logs('backend_given_up')).toMatchObject({ reason: 'TOKEN_AMBIGUOUS' })
    serving.cli.kill('SIGHUP')
    await serving.logsTimes('backend_given_up', 2)
  })
})

describe('the gateway ends with EX_CONFIG where another start would not mend its fault:', () => {
  const wrong: readonly (readonly [what: string, pkcs11: object, pin: string, says: RegExp])[] = [
    ['a module that is not there', { module: '/nowhere/lib.so' }, PIN, /there is no readable PKCS#11 module/],
    ['a PIN that is refused', {}, '000000', /refuses the login with CKR_PIN_INCORRECT/],
    ['settings that cannot be meant', { sessions: -1 }, PIN, /sessions/],
  ]
  it.each(wrong)('%s', async (_what, pkcs11, pin, says) => {
    hsm.hideTokens(false)
    const { workspace, file } = await writeGatewayFiles(pki, keys, { ...settings(1, pkcs11), files: { pin } })
    module.logins()
    expectRefusal(await run(['serve', '--config', file], { environment }), says, EX_CONFIG)
    expect(module.logins()).toBe(pin === PIN ? 0 : 1)
    await workspace.remove()
  })
})

describe.concurrent('a gateway looks at its listed keys before it listens,', () => {
  const started = async (fault: Fault, others: readonly string[], { onTestFinished: atEnd }: TestContext) => {
    const begun = performance.now()
    let adapter: FaultyAdapter | undefined
    const all = [...keys, ...others.map((name) => aesKey(name))]
    const pools = [contosoPool('contoso', Object.fromEntries(all.map(({ name }) => [name, {}])))]
    const fixture = await startTestGateway(pki, all, { pools }, async (...backend) => {
      adapter = new FaultyAdapter(await openBackend(...backend))
      adapter.fault = fault
      return adapter
    })
    atEnd(() => fixture.stop())
    return { adapter, tookMs: performance.now() - begun }
  }

  it('however slow that is', async (context) => {
    const { adapter, tookMs } = await started({ delayMs: 600 }, ['other'], context)
    expect(adapter?.calls).toEqual(['describe', 'describe'])
    expect(tookMs).toBeGreaterThan(1200)
  })

  it('but does not wait longer than five seconds for all of them', async (context) => {
    // A start that waits for one key after the other would exceed the test's time.
    const { adapter, tookMs } = await started({ delayMs: 60_000 }, ['a', 'b', 'c', 'd'], context)
    expect(adapter?.calls).toContain('describe')
    expect(tookMs).toBeGreaterThan(5000)
  })
})
