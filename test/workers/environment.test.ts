import { createPrivateKey, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { childrenOf, descendantsOf, hostsOf } from '../bench/process-tree.ts'
import { isRight, makePair } from '../bench/request.ts'
import { until } from '../commands/cli.ts'
import { changeConfig, startServing, type Serving } from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { MODULE, PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { aesKey, contosoPool, PASSPHRASE } from '../support/gateway.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { targetOf } from '../support/steady-stream.ts'

const kek = randomBytes(32)
const dek = randomBytes(32)
const KEY_PASSPHRASE = 'the server key 91d3'
let pki: Pki
let hsm: SoftHsm

beforeAll(async () => {
  pki = await makePki()
  hsm = softHsm()
  hsm.initToken('environment')
  onToken('environment', (objects) => objects.aes('aes', {}, kek))
})
afterAll(() => hsm.remove())

const SESSIONS = 2
const soft = { kind: 'software', directory: 'keys' }

async function startGateway(workers: number): Promise<Serving> {
  const cipher = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: KEY_PASSPHRASE } as const
  return startServing(
    pki,
    [aesKey('soft')],
    {
      workers,
      top: { reload: { watch: false } },
      limits: { deadlineMs: 10_000 },
      listen: {
        tls: { certificate: 'server.pem', key: 'encrypted.key', passphrase: { env: 'SERVER_KEY_PASSPHRASE' } },
      },
      files: { 'encrypted.key': createPrivateKey(pki.server.key).export(cipher).toString() },
      // An override tells where the PIN is.
      backend: { kind: 'pkcs11', module: MODULE, token: { label: 'environment' }, sessions: SESSIONS },
      backends: { soft: { ...soft, passphrase: { env: 'SOFT_PASSPHRASE' } } },
      pools: [contosoPool('contoso', { aes: {} }), { ...contosoPool('soft', {}), name: 'soft', backend: 'soft' }],
    },
    {
      environment: {
        SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '',
        SERVER_KEY_PASSPHRASE: KEY_PASSPHRASE,
        SOFT_PASSPHRASE: PASSPHRASE,
        HSM_PIN: PIN,
        EKM_GATEWAY__BACKENDS__STORE__PIN__ENV: 'HSM_PIN',
        EKM_GATEWAY__LIMITS__MAXBODYBYTES: '4096',
      },
    },
  )
}

/** The environment of a process at its start, by name. */
const environmentOf = (pid: number): ReadonlyMap<string, string> =>
  new Map(
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

/** Resolves when all expected processes run. */
const family = ({ cli }: Serving, workers: number): Promise<number[]> => {
  const pid = cli.process.pid ?? 0
  const starters = workers
  const count = (workers > 1 ? workers : 0) + starters + SESSIONS
  return until('every process', () => {
    const descendants = descendantsOf(pid)
    return hostsOf(pid).length === SESSIONS && descendants.length === count && descendants
  })
}

function expectNoSecret(pids: readonly number[]): void {
  for (const environment of pids.map(environmentOf)) {
    expect([...environment.keys()].filter((name) => /PASSPHRASE|PIN|EKM_GATEWAY/.test(name))).toEqual([])
    for (const secret of [PIN, PASSPHRASE, KEY_PASSPHRASE]) expect([...environment.values()]).not.toContain(secret)
    // Variables that a vendor's library needs are still there.
    expect(environment.get('SOFTHSM2_CONF')).toBe(process.env['SOFTHSM2_CONF'])
  }
}

const calls = makePair({ pathPrefix: 'contoso', key: 'aes', alg: 'A256KW' }, dek, kw(aes256(kek), dek))

async function expectServing({ port }: Serving): Promise<void> {
  for (const call of calls) expect(isRight(call, await askOnce(targetOf(port, pki), call.request))).toBe(true)
}

describe('secrets of the environment', { timeout: 90_000 }, () => {
  it.each([1, 2])('are in the environment of no process that the gateway starts, with workers: %i', async (workers) => {
    const served = await startGateway(workers)
    const { cli, logged, logsTimes } = served
    try {
      expectNoSecret(await family(served, workers))
      await expectServing(served)

      // The secret of a variable that the configuration no longer names stays a secret.
      await changeConfig(served, ({ backends }) =>
        Object.assign(backends ?? {}, { soft: { ...soft, passphrase: { file: 'passphrase' } } }),
      )
      cli.kill('SIGHUP')
      await logsTimes('reloaded', 1)
      const pid = cli.process.pid ?? 0
      const [victim = 0] = workers > 1 ? childrenOf(pid) : hostsOf(pid)
      process.kill(victim, 'SIGKILL')
      await until('another takes its place', async () => !(await family(served, workers)).includes(victim))
      if (workers > 1) await logsTimes('worker_replaced', 1)
      expectNoSecret(await family(served, workers))

      // The variable can still be named again, together with other new settings of a reload.
      await changeConfig(served, ({ backends }) => {
        Object.assign(backends ?? {}, { soft: { ...soft, passphrase: { env: 'SOFT_PASSPHRASE' }, queue: 1 } })
        Object.assign(backends?.['store'] ?? {}, { queue: 1 })
      })
      cli.kill('SIGHUP')
      await logsTimes('reloaded', 2)
      expect(logged('reload_failed')).toEqual([])
      await until('the old hosts have ended', () => hostsOf(pid).length === SESSIONS)
      expectNoSecret(await family(served, workers))
      await expectServing(served)
    } finally {
      await served.remove()
    }
  })
})
