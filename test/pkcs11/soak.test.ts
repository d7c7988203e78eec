import { randomBytes, randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AdapterError, type CallContext, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { hostsOf } from '../bench/process-tree.ts'
import { inTime } from '../support/in-time.ts'
import { soak, soakSeconds } from '../support/soak.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, contextUntil, ref, sleep, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const SECONDS = soakSeconds(3)
const SESSIONS = 3
const hsm = softHsm()
let faults: FaultModule
let adapter: Pkcs11Adapter

beforeAll(async () => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes')
    objects.rsa('rsa')
  })
  adapter = await open(
    hsm.options('ekm', { module: faults.path, sessions: SESSIONS, callTimeoutMs: 500 }),
    () => undefined,
  )
  for (const key of ['aes', 'rsa']) await adapter.qualify(ref(key), context())
})
afterAll(async () => {
  faults.script()
  await adapter.close()
  hsm.remove()
})

const pick = <Value>(values: readonly [Value, ...Value[]]): Value => values[randomInt(values.length)] ?? values[0]

const functions = [
  'C_WrapKey',
  'C_UnwrapKey',
  'C_CreateObject',
  'C_EncryptUpdate',
  'C_Decrypt',
  'C_FindObjects',
] as const
const answers = [
  '0x5',
  '0x6',
  '0x30',
  '0x31',
  '0x32',
  '0x60',
  '0x82',
  '0x90',
  '0xb0',
  '0xb3',
  '0xe0',
  '0x101',
  '0x190',
] as const

const misfortunes: readonly [() => void, ...(() => void)[]] = [
  () => faults.script(`${pick(functions)} rv ${pick(answers)} once`),
  () => faults.script(`${pick(functions)} rv ${pick(answers)} once`, `${pick(functions)} rv ${pick(answers)} once`),
  () => faults.script(`${pick(functions)} crash 0 once`),
  () => faults.script(`${pick(functions)} hang 0 once`),
  () => faults.script(`${pick(functions)} delay 120 once`),
  () => {
    const [pid] = adapter.hosts
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
  },
]

const cases: readonly [readonly [string, WrapAlgorithm], ...(readonly [string, WrapAlgorithm])[]] = [
  ['aes', 'A256KW'],
  ['aes', 'A256KWP'],
  ['rsa', 'RSA-OAEP'],
  ['rsa', 'RSA-OAEP-256'],
]

const documented = new Set([
  'DEADLINE_EXCEEDED',
  'BACKEND_UNAVAILABLE',
  'BACKEND_BUSY',
  // If a healthy token answers GENERAL_ERROR to a valid ciphertext, the adapter believes it.
  'CIPHERTEXT_INVALID',
])

it(
  'the PKCS#11 adapter survives a misfortune a second under mixed load',
  { timeout: (2 * SECONDS + 60) * 1000 },
  async () => {
    const seen = new Map<string, number>()
    let good = 0
    let stopped = false
    const once = async () => {
      const [key, algorithm] = pick(cases)
      const dek = randomBytes(32)
      const call = <Result>(work: (context: CallContext) => Promise<Result>): Promise<Result> => {
        const context = contextUntil(200, new AdapterError('DEADLINE_EXCEEDED', 'too late'))
        return inTime(context, work(context))
      }
      try {
        const wrapped = await call((context) => adapter.wrap(ref(key), algorithm, dek, context))
        const result = await call((context) => adapter.unwrap(ref(key), algorithm, wrapped, context))
        expect(Buffer.compare(result, dek), 'the data key comes back').toBe(0)
        good++
      } catch (error) {
        if (!(error instanceof AdapterError)) throw error
        expect(documented).toContain(error.code)
        seen.set(error.code, (seen.get(error.code) ?? 0) + 1)
        await sleep(5)
      }
    }
    const loop = async () => {
      while (!stopped) await once()
    }
    await sleep(1000)
    const loops = Promise.all(Array.from({ length: 8 }, loop))
    const misfortunesFor = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        pick(misfortunes)()
        await Promise.race([sleep(1000), loops])
      }
    }
    const growth = await soak(SECONDS, misfortunesFor)
    faults.script()
    await sleep(1000)
    stopped = true
    await loops
    expect(good).toBeGreaterThan(SECONDS)
    // A busy machine takes seconds for each session. A session that is lost for good never returns.
    await until('every session is back', () => adapter.hosts.length === SESSIONS)
    // Each session has a host. No host is left over, and memory returns to its level before the load.
    expect(hostsOf(process.pid)).toHaveLength(SESSIONS)
    const grown = growth.check()
    for (const [key, algorithm] of cases) {
      const wrapped = await adapter.wrap(ref(key), algorithm, randomBytes(32), context())
      expect(await adapter.unwrap(ref(key), algorithm, wrapped, context())).toHaveLength(32)
    }
    const errors = JSON.stringify(Object.fromEntries(seen))
    process.stdout.write(`soak: ${good} good pairs, errors ${errors}, ${grown}\n`)
  },
)
