import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { openBackend } from '../../src/backends/index.ts'
import { faultModule, type FaultModule } from '../pkcs11/support/fault-module.ts'
import { PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send, type Reply } from '../support/https.ts'
import { CLIENT_CN, makePki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const DEADLINE_MS = 800
const SESSIONS = 2

let hsm: SoftHsm
let faults: FaultModule
let fixture: TestGateway
let agent: ReturnType<typeof makeAgent>
let wrapped: string
let hosts: () => readonly number[]

beforeAll(async () => {
  hsm = softHsm()
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('kek')
    objects.rsa('rsa')
  })
  const pki = await makePki()
  const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }]
  const settings = {
    // Attributes are read for each request, so that metadata meets the faults too.
    limits: { deadlineMs: DEADLINE_MS, keyCacheMs: 0 },
    files: { pin: PIN },
    backends: {
      hsm: {
        kind: 'pkcs11',
        module: faults.path,
        token: { label: 'ekm' },
        pin: { file: 'pin' },
        sessions: SESSIONS,
        callTimeoutMs: 2000,
      },
    },
    pools: [
      { name: 'hsm', pathPrefix: 'hsm', clients, backend: 'hsm', keys: { kek: {}, rsa: {} } },
      { name: 'software', pathPrefix: 'software', clients, backend: 'store', keys: 'all' },
    ],
  }
  fixture = await startTestGateway(pki, [aesKey('kek')], settings, async (backend, report) => {
    const adapter = await openBackend(backend, report)
    if (backend.kind === 'pkcs11') hosts = () => (adapter as Pkcs11Adapter).hosts
    return adapter
  })
  agent = makeAgent(pki)
  await eventually(async () => expect(await fixture.logged('hsm_algorithm_qualified')).toHaveLength(4))
  // The table does not count what the first requests of a process cost.
  await Promise.all(Array.from({ length: 8 }, () => ask('software/kek/wrapkey', { alg: 'A256KW', value: VALUE })))
  wrapped = String((await ask('hsm/kek/wrapkey', { alg: 'A256KW', value: VALUE })).json['value'])
})

afterAll(async () => {
  faults.script()
  agent.destroy()
  await fixture.stop()
  hsm.remove()
})

// The second host takes over when a fault costs the first.
beforeEach(async () => {
  await until200()
  await eventually(() => expect(hosts()).toHaveLength(SESSIONS))
})

const VALUE = randomBytes(32).toString('base64url')

const ask = (path: string, members: object = {}) =>
  send(fixture.port, fixture.pki, { agent, path: `/${path}?${API}`, body: { request_context: CONTEXT, ...members } })

const operations = {
  metadata: () => ask('hsm/kek/metadata'),
  wrapkey: () => ask('hsm/kek/wrapkey', { alg: 'A256KW', value: VALUE }),
  unwrapkey: () => ask('hsm/kek/unwrapkey', { alg: 'A256KW', value: wrapped }),
}
type Operation = keyof typeof operations

/** Clears the faults and waits until every operation is answered. */
async function until200(): Promise<void> {
  faults.script()
  for (const operation of Object.values(operations)) {
    await eventually(async () => expect((await operation()).status).toBe(200))
  }
}

interface Fault {
  readonly what: string
  /** Lines of the fault module's script for the function that `operation` calls. */
  readonly script: (calls: string) => string[]
  /** The call never returns. */
  readonly hangs?: true
  readonly expected: Readonly<Record<Operation, readonly [status: number, code?: string]>>
}

/** The first function of the module that each operation calls. */
const firstCall = { metadata: 'C_FindObjectsInit', wrapkey: 'C_WrapKey', unwrapkey: 'C_UnwrapKey' } as const

const all = (...expected: readonly [status: number, code?: string]) => ({
  metadata: expected,
  wrapkey: expected,
  unwrapkey: expected,
})
const gateway = all(502, 'BadGateway')
const table: readonly Fault[] = [
  { what: 'the device fails (CKR_DEVICE_ERROR)', script: (calls) => [`${calls} rv 0x30`], expected: gateway },
  { what: 'the device is removed (CKR_DEVICE_REMOVED)', script: (calls) => [`${calls} rv 0x32`], expected: gateway },
  { what: 'the token is not there (CKR_TOKEN_NOT_PRESENT)', script: (calls) => [`${calls} rv 0xe0`], expected: gateway },
  { what: 'the library is not initialised (CKR_CRYPTOKI_NOT_INITIALIZED)', script: (calls) => [`${calls} rv 0x190`], expected: gateway },
  { what: 'the device has no memory (CKR_DEVICE_MEMORY)', script: (calls) => [`${calls} rv 0x31`], expected: all(429, 'Throttled') },
  { what: 'there are too many sessions (CKR_SESSION_COUNT)', script: (calls) => [`${calls} rv 0xb1`], expected: all(429, 'Throttled') },
  { what: 'the session is lost, once', script: (calls) => [`${calls} rv 0xb3 once`], expected: all(200) },
  { what: 'the session is lost each time', script: (calls) => [`${calls} rv 0xb3`], expected: gateway },
  { what: 'the login is lost, once', script: (calls) => [`${calls} rv 0x101 once`], expected: all(200) },
  { what: 'the use is not permitted (CKR_KEY_FUNCTION_NOT_PERMITTED)', script: (calls) => [`${calls} rv 0x68`], expected: all(403, 'Forbidden') },
  { what: 'the data is refused (CKR_DATA_LEN_RANGE)', script: (calls) => [`${calls} rv 0x21`], expected: all(400, 'BadRequest') },
  { what: 'the vendor says something of its own', script: (calls) => [`${calls} rv 0x80000042`], expected: gateway },
  { what: 'a call is slow, but in time', script: (calls) => [`${calls} delay 60`], expected: all(200) },
  { what: 'a call is too slow', script: (calls) => [`${calls} delay 1400`], expected: all(408, 'RequestTimeout') },
  { what: 'a call hangs', script: (calls) => [`${calls} hang 0`], hangs: true, expected: all(408, 'RequestTimeout') },
  { what: 'the library crashes, once', script: (calls) => [`${calls} crash 0 once`], expected: all(200) },
  { what: 'the library crashes each time', script: (calls) => [`${calls} crash 0`], expected: gateway },
] /* prettier-ignore */ // one case a line

describe.each(table)('the gateway, while $what, answers', ({ script, expected, hangs }) => {
  it.each(Object.keys(operations) as Operation[])('%s', async (operation) => {
    const before = hosts()
    faults.script(...script(firstCall[operation]))
    const inOrder: string[] = []
    const asked = async (pool: string, work: () => Promise<Reply>) => {
      const reply = await work()
      inOrder.push(pool)
      return reply
    }
    const software = () => asked('software', () => ask('software/kek/wrapkey', { alg: 'A256KW', value: VALUE }))
    const [reply, ...others] = await Promise.all([
      asked('hsm', operations[operation]),
      software(),
      software(),
      software(),
    ])
    const [status, code] = expected[operation]
    expect([reply.status, reply.json['code']]).toEqual([status, code])
    // A pool of another backend does not wait for the deadline.
    expect(others.map((other) => other.status)).toEqual([200, 200, 200])
    if (status === 408) expect(inOrder.at(-1)).toBe('hsm')
    // test/pkcs11/recovery-times.test.ts holds the time that this takes.
    await until200()
    // A hanging process is noticed later. It must not be lost in the middle of the next test.
    if (hangs) await eventually(() => expect(hosts()).not.toEqual(before))
  })
})
