import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServing, type Serving } from '../commands/serving.ts'
import { aesKey } from '../support/gateway.ts'
import { makePki } from '../support/pki.ts'
import { makeHeavyChain } from './support/heavy-chain.ts'

const RATE = 500
const SECONDS = 1
const LEAD_MS = 1000
/** Milliseconds that an attack may cost the slowest hundredth of the requests. */
const BOUND_MS = 50
const TRIES = 12

let serving: Serving

beforeAll(async () => {
  const pki = await makePki()
  const heavy = await makeHeavyChain()
  const files = {
    'heavy.pem': heavy.certificate,
    'heavy.key': heavy.key,
    'client.pem': pki.client.certificate,
    'client.key': pki.client.key,
    'server-ca.pem': pki.serverCa.certificate,
  }
  serving = await startServing(pki, [aesKey('aes-1')], { files, limits: { deadlineMs: 2000, handshakeMs: 1000 } })
})
afterAll(() => serving.remove())

const program = (name: string) => fileURLToPath(new URL(`support/${name}`, import.meta.url))

/** The slowest hundredth of an authenticated client's requests, in milliseconds. */
async function measure(): Promise<number> {
  const args = [serving.workspace.directory, serving.port, RATE, SECONDS].map(String)
  const client = spawn(process.execPath, [program('steady-client.mjs'), ...args])
  let text = ''
  client.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(client, 'close')
  const { times, failures } = JSON.parse(text) as { readonly times: number[]; readonly failures: unknown[] }
  expect(failures).toEqual([])
  const sorted = times.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length * 0.99)] ?? Infinity
}

it.each([
  ['hellos', 2000, '127.0.0.2'],
  ['requests', 500, '127.0.0.3'],
  ['silence', 2000, '127.0.0.4'],
  // Of a self-made chain of 280 CAs.
  ['certificates', 20, '127.0.0.5'],
  ['key updates', 4, '127.0.0.6'],
] as const)('a flood of %s, %i a second, costs an authenticated client little', async (way, rate, address) => {
  const costs: number[] = []
  let niceness = 10
  // On a busy machine everything is slow now and then: an attack that works is slow every time.
  while (costs.length < TRIES && !costs.some((cost) => cost < BOUND_MS)) {
    const quiet = await measure()
    // From another address, and with what is left of the processor: an attacker has a machine of his own.
    const args = [way, serving.port, rate, address, serving.workspace.path('heavy')].map(String)
    const attacker = spawn('nice', ['-n', String(niceness), process.execPath, program('attacker.mjs'), ...args])
    await setTimeout(LEAD_MS)
    const cost = (await measure()) - quiet
    attacker.kill('SIGTERM')
    const [opened] = (await once(attacker.stdout, 'data')) as [Buffer]
    // An attacker that the machine left no time was none, and shows nothing.
    if (Number(opened.toString()) > rate / 5) costs.push(cost)
    else niceness = Math.max(0, niceness - 5)
  }
  expect(Math.min(...costs)).toBeLessThan(BOUND_MS)
}, 150_000) // prettier-ignore
