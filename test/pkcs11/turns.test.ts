import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { Job } from '../../adapters/pkcs11/supervisor/job.ts'
import { JobQueue } from '../../adapters/pkcs11/supervisor/job-queue.ts'
import { type Pace, Paces } from '../../adapters/pkcs11/supervisor/pace.ts'
import { faultyToken } from './support/faulty-token.ts'
import { context, recorder, ref, sleep, until } from './support/harness.ts'
import { onToken } from './support/token-objects.ts'

const { hsm, faults } = faultyToken()
beforeAll(() =>
  onToken('ekm', (objects) => {
    objects.rsa('rsa')
    objects.aes('slow')
    objects.aes('slow-too')
  }),
)

/** An adapter without a slow key: its calls take as long as the machine makes them. */
async function openControl(): Promise<Pkcs11Adapter> {
  const control = await open(hsm.options('ekm', { sessions: 1 }), recorder().report)
  await control.qualify(ref('aes'), context())
  return control
}

/** The median duration in milliseconds. */
const median = (times: readonly number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN

describe('a key that the token is slow with', () => {
  const SLOW_MS = 85
  const dek = randomBytes(32)
  let adapter: Pkcs11Adapter
  let control: Pkcs11Adapter
  let wrapped: Uint8Array

  beforeAll(async () => {
    control = await openControl()
    adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 2 }), recorder().report)
    for (const key of ['aes', 'rsa', 'slow', 'slow-too']) await adapter.qualify(ref(key), context())
    wrapped = await adapter.wrap(ref('rsa'), 'RSA-OAEP-256', dek, context())
    await until('both serve', () => adapter.hosts.length === 2)
  })
  afterAll(() => Promise.all([adapter.close(), control.close()]))

  const slow = [
    {
      what: 'RSA, with one call of the token',
      script: [`C_Decrypt@rsa delay ${SLOW_MS}`],
      call: () => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', wrapped, context()),
    },
    {
      what: 'AES, with one call of the token',
      script: [`C_WrapKey@slow delay ${SLOW_MS}`],
      call: () => adapter.wrap(ref('slow'), 'A256KW', dek, context()),
    },
    {
      what: 'AES, with a call of the token for each step',
      script: [`C_EncryptUpdate@slow delay 3`],
      call: () => adapter.wrap(ref('slow'), 'A256KWP', dek, context()),
    },
    {
      what: 'two AES keys, with a call of the token for each step, which many values share',
      script: [`C_EncryptUpdate@slow delay 3`, `C_EncryptUpdate@slow-too delay 3`],
      call: () => Promise.all(['slow', 'slow-too'].map((key) => adapter.wrap(ref(key), 'A256KWP', dek, context()))),
    },
  ]
  it.each(slow)('does not hold up the others, however many calls with it wait: $what', async ({ script, call }) => {
    faults.script(...script)
    let over = false
    let done = 0
    const again = async () => {
      while (!over) {
        await call()
        done += 1
      }
    }
    const flood = Promise.all(Array.from({ length: 12 }, again))
    await until('the slow ones come one after another', () => done > 1)
    const timesOf = async (one: Pkcs11Adapter) => {
      const times: number[] = []
      while (times.length < 60) {
        const start = performance.now()
        await one.wrap(ref('aes'), 'A256KW', dek, context())
        times.push(performance.now() - start)
        await sleep(10)
      }
      return times
    }
    const [beside, alone] = await Promise.all([timesOf(adapter), timesOf(control)])
    over = true
    await flood
    expect(median(beside)).toBeLessThan(SLOW_MS / 4 + 2 * median(alone))
  })
})

describe.each([2, 3])('a key that becomes slow, with %i sessions', (sessions) => {
  /** More than another key's call takes, and less than it takes to wait for one of this key's. */
  const SOON_MS = 300
  const SLOW_MS = 700
  const BURST = 8
  const dek = randomBytes(32)
  let adapter: Pkcs11Adapter
  let control: Pkcs11Adapter
  let wrapped: Record<'slow' | 'rsa', Uint8Array>

  const wrap = (key: string) => adapter.wrap(ref(key), 'A256KW', dek, context())
  const unwrapRsa = () => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', wrapped.rsa, context())
  const useSlow = () => [wrap('slow'), adapter.unwrap(ref('slow'), 'A256KW', wrapped.slow, context())]

  beforeAll(async () => {
    control = await openControl()
    adapter = await open(hsm.options('ekm', { module: faults.path, sessions, callTimeoutMs: 1000 }), recorder().report)
    for (const key of ['aes', 'rsa', 'slow']) await adapter.qualify(ref(key), context())
    wrapped = {
      slow: await wrap('slow'),
      rsa: await adapter.wrap(ref('rsa'), 'RSA-OAEP-256', dek, context()),
    }
  })
  afterAll(() => Promise.all([adapter.close(), control.close()]))

  /** Milliseconds that `call` took at worst, of one after another until `isOver`. A call that failed took for ever. */
  async function longest(call: () => Promise<unknown>, isOver: () => boolean): Promise<number> {
    let most = 0
    while (!isOver()) {
      const start = performance.now()
      const ended = await call().then(
        () => performance.now(),
        () => Infinity,
      )
      most = Math.max(most, ended - start)
      await sleep(10)
    }
    return most
  }

  /** Milliseconds that a call with another key took at worst during a burst with the slow one, beyond the machine's. */
  async function excess(fault: string, others: readonly string[]): Promise<number> {
    await until('all serve', () => adapter.hosts.length === sessions)
    faults.script(...others)
    for (let times = 0; times < 20; times += 1) await Promise.all([...useSlow(), wrap('aes'), unwrapRsa()])
    const end = performance.now() + 3500
    const isOver = () => performance.now() > end
    const elsewhere = () => control.wrap(ref('aes'), 'A256KW', dek, context())
    const beside = Promise.all([
      longest(() => wrap('aes'), isOver),
      longest(unwrapRsa, isOver),
      longest(elsewhere, isOver),
    ])
    await sleep(50)
    faults.script(...['C_WrapKey', 'C_UnwrapKey'].map((name) => `${name}@slow ${fault}`), ...others)
    const burst = Promise.allSettled(Array.from({ length: BURST }, useSlow).flat())
    const [aes, rsa, alone] = await beside
    faults.script()
    await burst
    return Number.isFinite(alone) ? Math.max(aes, rsa) - 3 * alone : Infinity
  }

  it.each([
    { what: 'takes too long', fault: `delay ${SLOW_MS}`, others: [] },
    {
      what: 'takes too long, beside RSA keys that take long too',
      fault: `delay ${SLOW_MS}`,
      others: ['C_Decrypt@rsa delay 20'],
    },
    { what: 'hangs, whose sessions are replaced again and again', fault: 'hang 0', others: [] },
  ])('and $what keeps no other key waiting for a call of its own', async ({ fault, others }) => {
    // A busy machine can spoil a round. Calls that wait for the slow key spoil every round.
    let least = Infinity
    for (let round = 0; round < 4 && least >= SOON_MS; round += 1) {
      least = Math.min(least, await excess(fault, others).catch(() => Infinity))
    }
    expect(least).toBeLessThan(SOON_MS)
  })
})

describe('the pace of a key', () => {
  const paced = (paces: Paces, name: string, ms: number) => {
    const pace = paces.of(name, 'wrap')
    pace.key?.begin()
    for (let calls = 0; calls < 40; calls += 1) pace.took(ms)
    return pace
  }

  it('is slow beside a quicker one, and alone', () => {
    const paces = new Paces()
    const slow = paced(paces, 'slow', 85)
    expect(slow.isSlow).toBe(true)
    paces.of('not used yet', 'wrap')
    expect(slow.isSlow).toBe(true)
    const beside = new Paces()
    const [quick, slowToo, slowest] = [
      paced(beside, 'quick', 4),
      paced(beside, 'slow', 40),
      paced(beside, 'slowest', 85),
    ]
    expect([quick, slowToo, slowest].map(({ isSlow }) => isSlow)).toEqual([false, true, true])
  })

  it('is not slow where the token or the machine is', () => {
    const paces = new Paces()
    const all = [paced(paces, 'one', 40), paced(paces, 'other', 48), paced(paces, 'third', 70)]
    expect(all.map(({ isSlow }) => isSlow)).toEqual([false, false, false])
  })
})

describe('calls that wait for a host', () => {
  const job = (pace: Pace | undefined, weight = 1) => new Job(0, new Uint8Array(), { weight, ...(pace && { pace }) })
  const takeAll = (queue: JobQueue, names: ReadonlyMap<Pace | undefined, string>) => {
    let taken = ''
    for (let next = queue.take(() => true); next !== undefined; next = queue.take(() => true))
      taken += names.get(next.pace)
    return taken
  }
  const paces = new Paces()
  const [a, b] = [paces.of('a', 'wrap'), paces.of('b', 'wrap')]
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
