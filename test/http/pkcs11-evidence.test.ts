import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { aes256, kw } from '../contract/reference.ts'
import { faultModule, type FaultModule } from '../pkcs11/support/fault-module.ts'
import { PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { contosoPool, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send } from '../support/https.ts'
import { makePki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const VALUE = randomBytes(32)
const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

let hsm: SoftHsm
let faults: FaultModule
let fixture: TestGateway
let agent: ReturnType<typeof makeAgent>
let calls: readonly { path: string; members?: object }[]

beforeAll(async () => {
  hsm = softHsm()
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  const kek = randomBytes(32)
  onToken('ekm', (objects) => {
    objects.aes('kek', {}, kek)
    objects.aes('passing')
    objects.rsa('rsa')
  })
  const pki = await makePki()
  fixture = await startTestGateway(pki, [], {
    // Attributes are read for each request, so that metadata meets the faults too.
    limits: { deadlineMs: 1000, keyCacheMs: 0 },
    files: { pin: PIN },
    admin: { host: '127.0.0.1', port: 0 },
    backend: { kind: 'pkcs11', module: faults.path, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions: 2 },
    pools: [contosoPool('contoso', { kek: {}, passing: {}, rsa: {} })],
  })
  agent = makeAgent(pki)
  await eventually(async () => expect(await fixture.logged('hsm_algorithm_qualified')).toHaveLength(6))
  const forRsa = (await ask('rsa/wrapkey', { alg: 'RSA-OAEP', value: b64(VALUE) })).json['value']
  calls = [
    { path: 'kek/metadata' },
    { path: 'kek/wrapkey', members: { alg: 'A256KW', value: b64(VALUE) } },
    { path: 'kek/unwrapkey', members: { alg: 'A256KW', value: b64(kw(aes256(kek), VALUE)) } },
    { path: 'rsa/unwrapkey', members: { alg: 'RSA-OAEP', value: forRsa } },
  ]
})
beforeEach(async () => {
  await eventually(async () => expect(new Set(await askAll())).toEqual(new Set([200])))
})
afterAll(async () => {
  faults.script()
  agent.destroy()
  await fixture.stop()
  hsm.remove()
})

const ask = (path: string, members: object = {}) =>
  send(fixture.port, fixture.pki, {
    agent,
    path: `/contoso/${path}?${API}`,
    body: { request_context: CONTEXT, ...members },
  })
const askAll = () => Promise.all(calls.map(async ({ path, members }) => (await ask(path, members)).status))
const ready = async () => (await fetch(`http://127.0.0.1:${fixture.adminPort ?? 0}/readyz`)).status
const counted = async (event: string) => (await fixture.logged(event)).length

describe('a gateway on a token that misleads', () => {
  it('answers 400 to a bad value that the token calls a device error, and loses no session', async () => {
    const lost = await counted('hsm_host_lost')
    faults.script('C_UnwrapKey instead 0x30', 'C_Decrypt instead 0x30')
    const bad = [
      ['kek', 'A256KW', randomBytes(40)],
      ['rsa', 'RSA-OAEP', Buffer.alloc(256, 0x11)],
    ] as const
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => bad).flatMap((each) =>
        each.map(async ([key, alg, value]) => (await ask(`${key}/unwrapkey`, { alg, value: b64(value) })).status),
      ),
    )
    expect(new Set(answers)).toEqual(new Set([400]))
    expect(await askAll()).toEqual(calls.map(() => 200))
    expect([await ready(), await counted('hsm_host_lost')]).toEqual([200, lost])
    faults.script()
  })

  it('answers 404 for a key that is gone, and serves the others', async () => {
    const down = await counted('backend_down')
    onToken('ekm', (objects) => objects.destroy('passing'))
    await eventually(async () => expect((await ask('passing/metadata')).status).toBe(404))
    expect(await askAll()).toEqual(calls.map(() => 200))
    expect([await ready(), await counted('backend_down')]).toEqual([200, down])
  })
})
