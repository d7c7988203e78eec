import { Agent } from 'node:https'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StartOptions } from '../commands/cli.ts'
import { startServing, type Serving } from '../commands/serving.ts'
import type { RsaPrivateJwk } from '../contract/harness.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { MODULE, PIN, softHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { aesKey, type Settings } from '../support/gateway.ts'
import { API, CONTEXT, send, tlsOptions, type Reply } from '../support/https.ts'
import { CLIENT_CN, makePki, type Pki } from '../support/pki.ts'

const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')
/** With Azure's 200 ms the test would measure how busy the machine is with other tests. */
const DEADLINE_MS = 400
const CALLERS = 64
const FLOOD_MS = 1000
/** A pause after an answer other than 200, so that the callers leave the machine to the gateway. */
const PAUSE_MS = 100

interface Provided {
  readonly settings: Settings
  readonly options?: StartOptions
  readonly remove: () => void
}

let pki: Pki
let rsa: RsaPrivateJwk

beforeAll(async () => {
  pki = await makePki()
  rsa = await rsaKey(4096)
})

const store = (): Provided => ({ settings: {}, remove: () => undefined })

function token(): Provided {
  const hsm = softHsm()
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes-1')
    objects.rsa('rsa-1', {}, { ...rsa })
  })
  const backend = { kind: 'pkcs11', module: MODULE, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions: 2 }
  return {
    settings: { backend, files: { pin: PIN } },
    options: { environment: { SOFTHSM2_CONF: `${hsm.directory}/softhsm2.conf` } },
    remove: () => hsm.remove(),
  }
}

const pool = (name: string) => ({
  name,
  pathPrefix: name,
  clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
  backend: 'store',
  keys: { 'aes-1': {}, 'rsa-1': {} },
})

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** The statuses that `callers` concurrent callers get, which ask again and again until `isOver`. */
async function ask(callers: number, isOver: () => boolean, request: () => Promise<{ status: number }>, pauseMs = 0) {
  const statuses = new Map<number, number>()
  const one = async () => {
    while (!isOver()) {
      const { status } = await request()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      await sleep(status === 200 ? pauseMs : PAUSE_MS)
    }
  }
  await Promise.all(Array.from({ length: callers }, one))
  return [...statuses.keys()].sort()
}

const readiness = (adminPort: unknown) => fetch(`http://127.0.0.1:${String(adminPort)}/readyz?pool=quiet`)

/** Pool and status of the requests in the metrics. */
async function counted(adminPort: unknown): Promise<Set<string>> {
  const text = await (await fetch(`http://127.0.0.1:${String(adminPort)}/metrics`)).text()
  const series = text.matchAll(/^ekm_request_duration_seconds_count\{pool="(\w+)",.*status="(\d+)"\} [1-9]/gm)
  return new Set([...series].map(([, pool, status]) => `${pool} ${status}`))
}

// A row of the matrix in a file of its own: it needs a gateway in a process of its own, on an idle machine.
describe.each([
  ['the software store', store],
  ['a token', token],
])('endless RSA-4096 unwraps of one pool, on %s', (_name, provide) => {
  let provided: Provided
  let serving: Serving
  let flooding: Agent
  let quiet: Agent
  let wrapped: unknown

  const call = (agent: Agent, path: string, members: object = {}) =>
    send(serving.port, pki, { agent, path: `/${path}?${API}`, body: { request_context: CONTEXT, ...members } })
  const unwrap = () => call(flooding, 'flood/rsa-1/unwrapkey', { alg: 'RSA-OAEP-256', value: wrapped })
  const wrap = (name: string) => call(quiet, `${name}/aes-1/wrapkey`, { alg: 'A256KWP', value: VALUE })
  const untilServed = async (request: () => Promise<Reply>) => {
    for (;;) {
      const reply = await request()
      if (reply.status === 200) return reply.json
    }
  }

  beforeAll(async () => {
    provided = provide()
    const settings = {
      admin: { port: 0 },
      limits: { deadlineMs: DEADLINE_MS },
      pools: [pool('flood'), pool('quiet')],
    }
    serving = await startServing(
      pki,
      [aesKey('aes-1'), { name: 'rsa-1', jwk: rsa }],
      { ...settings, ...provided.settings },
      provided.options,
    )
    const agent = () => new Agent({ ...tlsOptions(pki), keepAlive: true, maxSockets: CALLERS })
    flooding = agent()
    quiet = agent()
    wrapped = (await untilServed(() => call(flooding, 'flood/rsa-1/wrapkey', { alg: 'RSA-OAEP-256', value: VALUE })))[
      'value'
    ]
    await untilServed(unwrap)
    for (const name of ['flood', 'quiet']) await untilServed(() => wrap(name))
    // Handshakes would compete with the calls.
    const connect = (one: Agent, count: number) => Array.from({ length: count }, () => call(one, 'quiet/info'))
    await Promise.all([...connect(flooding, CALLERS), ...connect(quiet, 4)])
  })
  afterAll(async () => {
    for (const agent of [flooding, quiet]) agent.destroy()
    await serving.remove()
    provided.remove()
  })

  it('cost no other pool and no other key an answer, and add no new status to another pool’s metrics', async () => {
    const adminPort = (await serving.logs('admin_listening'))['port']
    // The first requests qualified the keys, with a deadline of their own.
    const before = await counted(adminPort)
    const end = performance.now() + FLOOD_MS
    const isOver = () => performance.now() > end
    const [flood, otherPool, otherKey, ready] = await Promise.all([
      ask(CALLERS, isOver, unwrap),
      ask(2, isOver, () => wrap('quiet'), 5),
      ask(2, isOver, () => wrap('flood'), 5),
      ask(1, isOver, () => readiness(adminPort), 100),
    ])
    expect([otherPool, otherKey, ready]).toEqual([[200], [200], [200]])
    expect([200, 408, 429]).toEqual(expect.arrayContaining(flood))
    for (const event of ['backend_down', 'key_silent']) expect(serving.logged(event)).toEqual([])
    const since = [...(await counted(adminPort))].filter((series) => !before.has(series))
    expect(since.filter((series) => !series.startsWith('flood'))).toEqual([])
  })
})
