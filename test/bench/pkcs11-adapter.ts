/**
 * The throughput of the whole PKCS#11 adapter on SoftHSM, without HTTP: wrap and unwrap of a 32-byte data key.
 *
 *   npx tsc && node dist/test/bench/pkcs11-adapter.js [sessions, default 2] [seconds per figure, default 2]
 */
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { KeyRef, WrapAlgorithm } from '../../adapters/contract/index.ts'
import { administer, open } from '../../adapters/pkcs11/index.ts'
import { softHsm } from '../pkcs11/support/softhsm.ts'
import { contextOf } from '../support/context.ts'

const sessions = Number(process.argv[2] ?? 2)
const ms = Number(process.argv[3] ?? 2) * 1000
const hsm = softHsm()
const say = (line: string) => process.stdout.write(line + '\n')
const context = () => contextOf(new AbortController().signal, performance.now() + 200, 'bench')
const percentile = (sorted: Float64Array, p: number) => (sorted[Math.floor((sorted.length - 1) * p)] ?? NaN).toFixed(0)

try {
  hsm.initToken('bench')
  const administration = await administer(hsm.options('bench'))
  await administration.create('aes', { kty: 'oct', bits: 256 }, {})
  await administration.create('rsa', { kty: 'RSA', bits: 2048 }, {})
  const started = performance.now()
  const adapter = await open(hsm.options('bench', { sessions }), () => undefined)
  say(`open ${(performance.now() - started).toFixed(0)} ms`)
  while (adapter.hosts.length < sessions) await new Promise((resolve) => setTimeout(resolve, 20))
  say(`all hosts ${(performance.now() - started).toFixed(0)} ms`)
  const cases: [string, WrapAlgorithm][] = [
    ['aes', 'A256KW'],
    ['aes', 'A256KWP'],
    ['rsa', 'RSA-OAEP'],
    ['rsa', 'RSA-OAEP-256'],
  ]
  for (const [name, algorithm] of cases) {
    const ref = name as KeyRef
    const dek = randomBytes(32)
    const first = performance.now()
    await adapter.wrap(ref, algorithm, dek, context())
    say(`${algorithm}: first wrap, qualification included, ${(performance.now() - first).toFixed(0)} ms`)
    for (const concurrency of [1, 32]) {
      const times: number[] = []
      const end = performance.now() + ms
      const cpu = process.cpuUsage()
      const loop = async () => {
        while (performance.now() < end) {
          const start = performance.now()
          const wrapped = await adapter.wrap(ref, algorithm, dek, context())
          const middle = performance.now()
          await adapter.unwrap(ref, algorithm, wrapped, context())
          times.push((middle - start) * 1000, (performance.now() - middle) * 1000)
        }
      }
      await Promise.all(Array.from({ length: concurrency }, loop))
      const used = process.cpuUsage(cpu)
      const sorted = Float64Array.from(times).sort()
      const perCall = ((used.user + used.system) / times.length).toFixed(0)
      say(
        `${algorithm}: ${String(concurrency).padStart(2)} at once: ${Math.round(times.length / (ms / 1000))} calls/s, ` +
          `p50 ${percentile(sorted, 0.5)} us, p99 ${percentile(sorted, 0.99)} us, ${perCall} us of main CPU a call`,
      )
    }
  }
  await adapter.close()
} finally {
  hsm.remove()
}
