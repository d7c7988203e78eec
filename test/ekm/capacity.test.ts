import { afterEach, describe, expect, it } from 'vitest'
import { AdapterError, type KeyRef } from '../../adapters/contract/index.ts'
import { Call } from '../../src/ekm/backend/call.ts'
import { Capacity, type Rejection } from '../../src/ekm/backend/capacity.ts'
import { Flow, PoolFlows } from '../../src/ekm/backend/flow.ts'

const calls: Call[] = []
const newCall = (budgetMs = 60_000): Call => {
  const call = new Call(budgetMs)
  calls.push(call)
  return call
}
afterEach(() => {
  for (const call of calls.splice(0)) call.end()
})

const newFlow = (pool = new PoolFlows()) => new Flow(pool, 'wrap', 'a key' as KeyRef)

/** Ends a call of `flow` that took `elapsedMs`. */
function leave(capacity: Capacity, flow: Flow, elapsedMs: number, call = newCall()): void {
  const now = performance.now()
  flow.ended()
  flow.answered(call, now - elapsedMs, now)
  capacity.leave(flow)
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Enters for `flow`, and adds `name` to `turns` when it is its turn. */
function enter(capacity: Capacity, flow: Flow, name: string, turns: string[], call = newCall()): Promise<void> {
  const turn = capacity.enter(flow, call)
  if (turn === undefined) {
    turns.push(name)
    return Promise.resolve()
  }
  return turn.then(() => void turns.push(name))
}

const refusal = (attempt: () => unknown): AdapterError => {
  try {
    attempt()
  } catch (error) {
    if (error instanceof AdapterError) return error
  }
  throw new Error('was not refused')
}

describe('a backend’s capacity', () => {
  it('lets in as many calls as its limit, and the others in their order', async () => {
    const capacity = new Capacity({ concurrency: 2, queue: 10 })
    const flow = newFlow()
    const turns: string[] = []
    for (const name of ['a', 'b', 'c', 'd']) void enter(capacity, flow, name, turns)
    await settled()
    expect(turns).toEqual(['a', 'b'])
    expect([capacity.running, capacity.waiting]).toEqual([2, 2])
    leave(capacity, flow, 1)
    await settled()
    expect(turns).toEqual(['a', 'b', 'c'])
    leave(capacity, flow, 1)
    leave(capacity, flow, 1)
    await settled()
    expect(turns).toEqual(['a', 'b', 'c', 'd'])
    leave(capacity, flow, 1)
    expect([capacity.running, capacity.waiting]).toEqual([0, 0])
  })

  it('serves pools round-robin, so that a flood of one does not delay another', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 100 })
    const [flood, quiet] = [newFlow(), newFlow()]
    const turns: string[] = []
    for (let i = 0; i < 50; i += 1) void enter(capacity, flood, 'flood', turns)
    void enter(capacity, quiet, 'quiet', turns)
    for (let i = 0; i < 2; i += 1) {
      leave(capacity, flood, 1)
      await settled()
    }
    expect(turns).toEqual(['flood', 'flood', 'quiet'])
  })

  it('gives a pool no more than its own share, and continues with the next pool', async () => {
    const capacity = new Capacity({ concurrency: 3, queue: 10 })
    const [narrow, wide] = [newFlow(new PoolFlows(1)), newFlow()]
    const turns: string[] = []
    for (const name of ['n1', 'n2']) void enter(capacity, narrow, name, turns)
    for (const name of ['w1', 'w2', 'w3']) void enter(capacity, wide, name, turns)
    await settled()
    expect(turns).toEqual(['n1', 'w1', 'w2'])
    leave(capacity, wide, 1)
    await settled()
    expect(turns).toEqual(['n1', 'w1', 'w2', 'w3'])
    leave(capacity, narrow, 1)
    await settled()
    expect(turns.at(-1)).toBe('n2')
  })

  it('refuses a call at once if its queue is full, and states when to retry', () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 1, queue: 1 }, (rejection) => rejections.push(rejection))
    const [flow, other] = [newFlow(), newFlow()]
    void capacity.enter(flow, newCall())
    void capacity.enter(flow, newCall())
    expect(refusal(() => capacity.enter(flow, newCall()))).toMatchObject({ code: 'BACKEND_BUSY', retryAfterSeconds: 1 })
    expect(rejections).toEqual(['queue_full'])
    expect(capacity.enter(other, newCall())).toBeInstanceOf(Promise)
  })

  it('counts the seconds until the calls in its queue have been served', () => {
    const capacity = new Capacity({ concurrency: 1, queue: 29 })
    const flow = newFlow()
    for (let i = 0; i < 100; i += 1) {
      void capacity.enter(flow, newCall())
      leave(capacity, flow, 200)
    }
    for (let i = 0; i < 21; i += 1) void capacity.enter(flow, newCall())
    expect(refusal(() => capacity.enter(flow, newCall())).retryAfterSeconds).toBe(4)
  })

  it('refuses a call that could not be answered in time, when it comes and when it is its turn', async () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 1, queue: 10 }, (rejection) => rejections.push(rejection))
    const flow = newFlow()
    for (let i = 0; i < 100; i += 1) {
      void capacity.enter(flow, newCall())
      leave(capacity, flow, 100)
    }
    void capacity.enter(flow, newCall())
    expect(refusal(() => capacity.enter(flow, newCall(150))).code).toBe('BACKEND_BUSY')
    const late = capacity.enter(flow, newCall(300))
    const patient = capacity.enter(flow, newCall())
    await new Promise((resolve) => setTimeout(resolve, 180))
    leave(capacity, flow, 100)
    await expect(late).rejects.toMatchObject({ code: 'BACKEND_BUSY' })
    await patient
    expect(rejections).toEqual(['too_late', 'too_late'])
    expect([capacity.running, capacity.waiting]).toEqual([1, 0])
  })

  it('does not begin a late call, unless the backend needs longer than any call has', () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 2, queue: 10 }, (rejection) => rejections.push(rejection))
    const flow = newFlow()
    const takes = (ms: number) => {
      for (let i = 0; i < 200; i += 1) {
        void capacity.enter(flow, newCall())
        leave(capacity, flow, ms)
      }
    }
    const call = newCall(1000)
    const after = (ms: number) => capacity.enter(flow, call, call.start + ms)
    takes(300)
    expect(after(690)).toBeUndefined()
    expect(refusal(() => after(710)).code).toBe('DEADLINE_EXCEEDED')
    expect([capacity.running, capacity.waiting, rejections]).toEqual([1, 0, []])
    takes(1200)
    expect(after(710)).toBeUndefined()
  })

  it('learns the duration of each key’s calls, so that a slow key makes no other late', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 10 })
    const [slow, quick] = [newFlow(), newFlow()]
    for (let i = 0; i < 100; i += 1) {
      void capacity.enter(slow, newCall())
      leave(capacity, slow, 300)
    }
    void capacity.enter(slow, newCall())
    expect(refusal(() => capacity.enter(slow, newCall(200))).code).toBe('BACKEND_BUSY')
    const turn = capacity.enter(quick, newCall(200))
    leave(capacity, slow, 300)
    await turn
    expect([quick.running, slow.running]).toEqual([1, 0])
  })

  it('leaves places and queue room to other keys, and to other pools', () => {
    const capacity = new Capacity({ concurrency: 8, queue: 9 })
    const pool = new PoolFlows()
    const many = (count: number, of = () => newFlow(pool)) => {
      const flow = of()
      return Array.from({ length: count }, () => capacity.enter(flow, newCall())).filter((turn) => turn === undefined)
    }
    expect(many(11)).toHaveLength(5)
    expect(refusal(() => many(2, () => pool.flows[0] ?? newFlow(pool))).code).toBe('BACKEND_BUSY')
    expect(many(3)).toHaveLength(1)
    expect(many(1)).toHaveLength(1)
    expect(many(1, newFlow)).toHaveLength(1)
    expect([capacity.running, pool.waiting]).toEqual([8, 9])
  })

  it('refuses with 429 a call that waited in vain, and was never sent', async () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 1, queue: 10 }, (rejection) => rejections.push(rejection))
    void capacity.enter(newFlow(), newCall())
    await expect(capacity.enter(newFlow(), newCall(10))).rejects.toMatchObject({ code: 'BACKEND_BUSY' })
    expect([rejections, capacity.waiting]).toEqual([['too_late'], 0])
  })

  it('forgets a call that was stopped while it waited', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 1 })
    const flow = newFlow()
    void capacity.enter(flow, newCall())
    const gone = newCall()
    const turn = capacity.enter(flow, gone)
    gone.stop(new AdapterError('CANCELLED', 'the client went away'))
    await expect(turn).rejects.toMatchObject({ code: 'CANCELLED' })
    expect([capacity.running, capacity.waiting]).toEqual([1, 0])
    const next = capacity.enter(flow, newCall())
    leave(capacity, flow, 1)
    await next
    expect([capacity.running, capacity.waiting]).toEqual([1, 0])
  })

  it('returns a place that arrives in the same moment as the end of its call', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 1 })
    const flow = newFlow()
    void capacity.enter(flow, newCall())
    const gone = newCall()
    const turn = capacity.enter(flow, gone)
    leave(capacity, flow, 1)
    gone.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed'))
    await expect(turn).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await settled()
    expect([capacity.running, capacity.waiting]).toEqual([0, 0])
  })
})
