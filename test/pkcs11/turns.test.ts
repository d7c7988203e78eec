import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { Job } from '../../adapters/pkcs11/supervisor/job.ts'
import { JobQueue } from '../../adapters/pkcs11/supervisor/job-queue.ts'
import { Pace } from '../../adapters/pkcs11/supervisor/pace.ts'
import { faultyToken } from './support/faulty-token.ts'
import { context, recorder, ref, sleep } from './support/harness.ts'
import { onToken } from './support/token-objects.ts'

const { hsm, faults } = faultyToken()

/** The middle of how long each took, in milliseconds. */
const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN

describe('a key that the token is slow with', () => {
  const SLOW_MS = 85
  const dek = randomBytes(32)
  let adapter: Pkcs11Adapter
  let wrapped: Uint8Array

  beforeAll(async () => {
    onToken('ekm', (objects) => objects.rsa('rsa'))
    adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 2 }), recorder().report)
    for (const key of ['aes', 'rsa']) await adapter.qualify(ref(key), context())
    wrapped = await adapter.wrap(ref('rsa'), 'RSA-OAEP-256', dek, context())
  })
  afterAll(() => adapter.close())

  it('does not hold up the others, however many calls with it wait', async () => {
    faults.script(`C_Decrypt delay ${SLOW_MS}`)
    let over = false
    let unwrapped = 0
    const unwrap = async () => {
      while (!over) {
        await adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', wrapped, context())
        unwrapped += 1
      }
    }
    const flood = Promise.all(Array.from({ length: 12 }, unwrap))
    await sleep(300)
    const times: number[] = []
    while (times.length < 60) {
      const start = performance.now()
      await adapter.wrap(ref('aes'), 'A256KW', dek, context())
      times.push(performance.now() - start)
      await sleep(10)
    }
    over = true
    await flood
    expect(median(times)).toBeLessThan(SLOW_MS / 4)
    expect(unwrapped).toBeGreaterThan(0)
  })
})

describe('calls that wait', () => {
  const job = (pace: Pace | undefined, weight = 1) => new Job(0, new Uint8Array(), { weight, ...(pace && { pace }) })
  const takeAll = (queue: JobQueue, names: ReadonlyMap<Pace | undefined, string>) => {
    let taken = ''
    for (let next = queue.take(() => true); next !== undefined; next = queue.take(() => true))
      taken += names.get(next.pace)
    return taken
  }
  const [a, b] = [new Pace(), new Pace()]
  const names = new Map([
    [a, 'a'],
    [b, 'b'],
    [undefined, '-'],
  ])

  it('are taken key by key, as many at a time as can be done together, or one that is heavy', () => {
    const queue = new JobQueue()
    for (let times = 0; times < 20; times += 1) queue.push(job(a))
    for (let times = 0; times < 3; times += 1) queue.push(job(b, 8))
    queue.push(job(undefined))
    expect(queue.size).toBe(24)
    expect(takeAll(queue, names)).toBe(`${'a'.repeat(8)}b-${'a'.repeat(8)}baaaab`)
    expect(queue.size).toBe(0)
  })

  it('stay in their order, also what was given back', () => {
    const queue = new JobQueue()
    const [first, second, third] = [job(a), job(a), job(a)]
    queue.push(third)
    queue.giveBack([first, second])
    expect([first, second, third].map((one) => queue.take(() => true) === one)).toEqual([true, true, true])
  })

  it('let others go first that have a host', () => {
    const queue = new JobQueue()
    queue.push(job(a))
    queue.push(job(b))
    expect(queue.take(({ pace }) => pace === b)?.pace).toBe(b)
    expect(queue.take(({ pace }) => pace === b)).toBeUndefined()
    expect(queue.clear()).toHaveLength(1)
  })
})
