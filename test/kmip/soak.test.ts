import { randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { AdapterError } from '../../adapters/contract/index.ts'
import { aes256, kw, kwp, oaepWrap } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { soak, soakSeconds } from '../support/soak.ts'
import { kmipFixture, ref, within } from './kmip-fixture.ts'
import { faultKinds } from './server/faults.ts'

const SECONDS = soakSeconds(2.5)
/** Longer than any call takes on a slow machine with other tests. */
const LONG_MS = 5000
const CALLERS = 16
const CONNECTIONS = 6
const reference = { A256KW: kw, A256KWP: kwp }
/** The codes that a server's fault may cause. No bad ciphertext is sent, so that no other code may occur. */
const allowed: readonly string[] = ['BACKEND_UNAVAILABLE', 'DEADLINE_EXCEEDED', 'BACKEND_BUSY']

it.each(['right', 'none'] as const)(
  'the KMIP adapter under random faults, with key wrap modes %s, answers rightly or with a typed error, and works afterwards',
  { timeout: 2 * SECONDS * 1000 + 60_000 },
  async (keyWrap) => {
    await using fixture = await kmipFixture({ keyWrap }, { connections: CONNECTIONS })
    const { adapter, server, kek } = fixture
    const rsaDek = randomBytes(32)
    const rsaWrapped = oaepWrap(await rsaKey(2048), 'sha256', rsaDek)
    for (const algorithm of ['A256KW', 'A256KWP'] as const)
      await adapter.wrap(ref('aes'), algorithm, rsaDek, within(5000))
    await adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', rsaWrapped, within(5000))

    let running = true
    let right = 0
    const failures = new Map<string, number>()
    const once = async (budgetMs = 200) => {
      const algorithm = randomInt(2) === 0 ? 'A256KW' : 'A256KWP'
      const dek = randomBytes(8 * randomInt(2, 6))
      const wrapped = reference[algorithm](aes256(kek), dek)
      const context = within(budgetMs)
      switch (randomInt(4)) {
        case 0:
          return Buffer.compare(await adapter.wrap(ref('aes'), algorithm, dek, context), wrapped) === 0
        case 1:
          return Buffer.compare(await adapter.unwrap(ref('aes'), algorithm, wrapped, context), dek) === 0
        case 2:
          return Buffer.compare(await adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', rsaWrapped, context), rsaDek) === 0
        default:
          return (await adapter.describe(ref('rsa'), context)).kty === 'RSA'
      }
    }
    const caller = async () => {
      while (running) {
        try {
          expect(await once()).toBe(true)
          right += 1
        } catch (error) {
          if (!(error instanceof AdapterError) || !allowed.includes(error.code)) throw error
          failures.set(error.code, (failures.get(error.code) ?? 0) + 1)
          await sleep(5)
        }
        expect(server.connections).toBeLessThanOrEqual(CONNECTIONS + 1)
      }
    }
    const callers = Promise.all(Array.from({ length: CALLERS }, caller))
    callers.catch(() => (running = false))
    const faultsFor = async (seconds: number) => {
      const end = performance.now() + seconds * 1000
      while (running && performance.now() < end) {
        const kind = faultKinds[randomInt(faultKinds.length)]
        // The server is well half of the time, so that there is a state to return to.
        server.fault = kind === undefined || randomInt(2) === 0 ? undefined : { kind }
        if (randomInt(20) === 0) server.dropConnections()
        if (randomInt(60) === 0) {
          await server.stop()
          await sleep(50)
          await server.start()
        }
        await sleep(randomInt(5, 60))
      }
    }
    const growth = await soak(SECONDS, faultsFor)
    server.fault = undefined
    running = false
    await callers
    expect(right).toBeGreaterThan(0)
    // The adapter probes a server that was sick before it calls it again, and repeats an interrupted qualification.
    const well = async () => {
      for (let call = 0; call < 20; call++) if (!(await once(LONG_MS))) return false
      return true
    }
    await expect.poll(() => well().catch(() => false)).toBe(true)
    for (let call = 0; call < 50; call++) expect(await once(LONG_MS)).toBe(true)
    // No connection is left over, and memory returns to its level before the load.
    expect(server.connections).toBeLessThanOrEqual(CONNECTIONS)
    const grown = growth.check()
    const errors = JSON.stringify(Object.fromEntries(failures))
    process.stdout.write(`soak, key wrap ${keyWrap}: ${right} right, errors ${errors}, ${grown}\n`)
  },
)
