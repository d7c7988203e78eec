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
import { targetOf } from '../support/steady-stream.ts'
import { expectRefusal, run } from './cli.ts'
import { startServing, type Serving } from './serving.ts'

const EX_CONFIG = 78
const LABEL = 'ekm'
/** Longer than a busy machine takes for anything here. */
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

/** A pool of the store and a pool of the HSM, whose key is the same. */
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

async function start(workers: number, pin = PIN): Promise<Serving> {
  const serving = await startServing(pki, keys, { ...settings(workers), files: { pin } }, { environment })
  onTestFinished(() => serving.remove())
  return serving
}
const answers = async ({ port }: Serving, prefix: string) => {
  const call = callOf(prefix)
  const reply = await askOnce(targetOf(port, pki), call.request)
  return isRight(call, reply) ? 'right' : reply.status
}

describe('an HSM that is away at the start', () => {
  it('costs no other pool anything, and is served when it is there', async () => {
    hsm.hideTokens(true)
    const serving = await start(1)
    const admin = Number((await serving.logs('admin_listening'))['port'])
    const readiness = async (query: string) => (await fetch(`http://127.0.0.1:${admin}/readyz${query}`)).status
    expect(await answers(serving, 'store')).toBe('right')
    expect(await answers(serving, 'hsm')).toBe(502)
    expect([await readiness(''), await readiness('?pool=of+the+HSM')]).toEqual([200, 503])
    expect(await metric(admin, 'ekm_pool_ready{pool="of the HSM"}')).toBe(0)
    const message = expect.stringMatching(/no initialised token .*tried again.*names it wrongly/) as string
    expect(serving.logged('backend_away')).toMatchObject([
      { level: 'error', backend: 'hsm', reason: 'TOKEN_NOT_FOUND', message },
    ])
    hsm.hideTokens(false)
    expect(await serving.logs('backend_open')).toMatchObject({ level: 'info', backend: 'hsm' })
    expect(await answers(serving, 'hsm')).toBe('right')
    expect(await readiness('?pool=of+the+HSM')).toBe(200)
    // It was one thing that was wrong.
    expect(['key_unusable', 'backend_down'].flatMap(serving.logged)).toEqual([])
    serving.cli.kill('SIGTERM')
    expect(await serving.cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('and then refuses the PIN is asked once, whoever serves; a reload with the right one mends it', async () => {
    hsm.hideTokens(true)
    const serving = await start(2, '000000')
    module.logins()
    hsm.hideTokens(false)
    const told = { level: 'error', backend: 'hsm', reason: 'LOGIN_REFUSED' }
    expect(await serving.logs('backend_given_up')).toMatchObject(told)
    // The other worker would have been asked within two seconds.
    await sleep(2500)
    expect(module.logins()).toBe(1)
    expect([await answers(serving, 'store'), await answers(serving, 'hsm')]).toEqual(['right', 502])
    await serving.workspace.write('pin', PIN)
    serving.cli.kill('SIGHUP')
    await serving.logs('reloaded')
    for (let calls = 0; calls < 4; calls += 1) expect(await answers(serving, 'hsm')).toBe('right')
  })
})

describe('what another start would not mend ends it with EX_CONFIG', () => {
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

describe.concurrent('before a gateway listens, the listed keys were looked at', () => {
  const started = async (fault: Fault, { onTestFinished: atEnd }: TestContext) => {
    const begun = performance.now()
    let adapter: FaultyAdapter | undefined
    const pools = [contosoPool('contoso', { aes: {}, other: {} })]
    const fixture = await startTestGateway(pki, [...keys, aesKey('other')], { pools }, async (...backend) => {
      adapter = new FaultyAdapter(await openBackend(...backend))
      adapter.fault = fault
      return adapter
    })
    atEnd(() => fixture.stop())
    return { adapter, tookMs: performance.now() - begun }
  }

  it('however slow that is', async (context) => {
    const { adapter, tookMs } = await started({ delayMs: 600 }, context)
    expect(adapter?.calls).toEqual(['describe', 'describe'])
    expect(tookMs).toBeGreaterThan(1200)
  })

  it('but for one that takes longer than five seconds', async (context) => {
    const { tookMs } = await started({ delayMs: 12_000 }, context)
    expect(tookMs).toBeGreaterThan(5000)
    expect(tookMs).toBeLessThan(10_000)
  })
})
