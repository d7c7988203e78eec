import { afterEach, describe, expect, it } from 'vitest'
import { AdapterError } from '../../adapters/contract/index.ts'
import { Call } from '../../src/ekm/call.ts'
import { Capacity, Lane, type Rejection } from '../../src/ekm/capacity.ts'

const calls: Call[] = []
const newCall = (budgetMs = 60_000): Call => {
  const call = new Call(budgetMs)
  calls.push(call)
  return call
}
afterEach(() => {
  for (const call of calls.splice(0)) call.end()
})

const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Enters for `lane`, and writes `name` down when it is its turn. */
function enter(capacity: Capacity, lane: Lane, name: string, turns: string[], call = newCall()): Promise<void> {
  const turn = capacity.enter(lane, call)
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

describe('capacity', () => {
  it('lets in as many as it may, and the others in their order', async () => {
    const capacity = new Capacity({ concurrency: 2, queue: 10 })
    const lane = new Lane()
    const turns: string[] = []
    for (const name of ['a', 'b', 'c', 'd']) void enter(capacity, lane, name, turns)
    await settled()
    expect(turns).toEqual(['a', 'b'])
    expect([capacity.running, capacity.waiting]).toEqual([2, 2])
    capacity.leave(lane, 1)
    await settled()
    expect(turns).toEqual(['a', 'b', 'c'])
    capacity.leave(lane, 1)
    capacity.leave(lane, 1)
    await settled()
    expect(turns).toEqual(['a', 'b', 'c', 'd'])
    capacity.leave(lane, 1)
    expect([capacity.running, capacity.waiting]).toEqual([0, 0])
  })

  it('takes turns between pools, so that a flood of one is not the delay of another', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 100 })
    const [flood, quiet] = [new Lane(), new Lane()]
    const turns: string[] = []
    for (let i = 0; i < 50; i += 1) void enter(capacity, flood, 'flood', turns)
    void enter(capacity, quiet, 'quiet', turns)
    for (let i = 0; i < 2; i += 1) {
      capacity.leave(flood, 1)
      await settled()
    }
    expect(turns).toEqual(['flood', 'flood', 'quiet'])
  })

  it('lets a pool have no more than its own share, and goes on with the next', async () => {
    const capacity = new Capacity({ concurrency: 3, queue: 10 })
    const [narrow, wide] = [new Lane(1), new Lane()]
    const turns: string[] = []
    for (const name of ['n1', 'n2']) void enter(capacity, narrow, name, turns)
    for (const name of ['w1', 'w2', 'w3']) void enter(capacity, wide, name, turns)
    await settled()
    expect(turns).toEqual(['n1', 'w1', 'w2'])
    capacity.leave(wide, 1)
    await settled()
    expect(turns).toEqual(['n1', 'w1', 'w2', 'w3'])
    capacity.leave(narrow, 1)
    await settled()
    expect(turns.at(-1)).toBe('n2')
  })

  it('refuses at once what finds its queue full, and says when to come back', () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 1, queue: 1 }, (rejection) => rejections.push(rejection))
    const [lane, other] = [new Lane(), new Lane()]
    void capacity.enter(lane, newCall())
    void capacity.enter(lane, newCall())
    expect(refusal(() => capacity.enter(lane, newCall()))).toMatchObject({ code: 'BACKEND_BUSY', retryAfterSeconds: 1 })
    expect(rejections).toEqual(['queue_full'])
    expect(capacity.enter(other, newCall())).toBeInstanceOf(Promise)
  })

  it('counts the seconds until those who wait have been served', () => {
    const capacity = new Capacity({ concurrency: 1, queue: 20 })
    const lane = new Lane()
    for (let i = 0; i < 100; i += 1) {
      void capacity.enter(lane, newCall())
      capacity.leave(lane, 200)
    }
    for (let i = 0; i < 21; i += 1) void capacity.enter(lane, newCall())
    expect(refusal(() => capacity.enter(lane, newCall())).retryAfterSeconds).toBe(4)
  })

  it('refuses what could not be answered in time, when it comes and when it is its turn', async () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 1, queue: 10 }, (rejection) => rejections.push(rejection))
    const lane = new Lane()
    for (let i = 0; i < 100; i += 1) {
      void capacity.enter(lane, newCall())
      capacity.leave(lane, 100)
    }
    void capacity.enter(lane, newCall())
    expect(refusal(() => capacity.enter(lane, newCall(150))).code).toBe('BACKEND_BUSY')
    const late = capacity.enter(lane, newCall(250))
    const patient = capacity.enter(lane, newCall())
    await new Promise((resolve) => setTimeout(resolve, 180))
    capacity.leave(lane, 100)
    await expect(late).rejects.toMatchObject({ code: 'BACKEND_BUSY' })
    await patient
    expect(rejections).toEqual(['too_late', 'too_late'])
    expect([capacity.running, capacity.waiting]).toEqual([1, 0])
  })

  it('does not begin what came too late, but does where the backend needs longer than any call has', () => {
    const rejections: Rejection[] = []
    const capacity = new Capacity({ concurrency: 2, queue: 10 }, (rejection) => rejections.push(rejection))
    const lane = new Lane()
    const takes = (ms: number) => {
      for (let i = 0; i < 200; i += 1) {
        void capacity.enter(lane, newCall())
        capacity.leave(lane, ms)
      }
    }
    const call = newCall(1000)
    const after = (ms: number) => capacity.enter(lane, call, call.start + ms)
    takes(300)
    expect(after(690)).toBeUndefined()
    expect(refusal(() => after(710)).code).toBe('DEADLINE_EXCEEDED')
    expect([capacity.running, capacity.waiting, rejections]).toEqual([1, 0, []])
    takes(1200)
    expect(after(710)).toBeUndefined()
  })

  it('forgets a call that was stopped while it waited', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 1 })
    const lane = new Lane()
    void capacity.enter(lane, newCall())
    const gone = newCall()
    const turn = capacity.enter(lane, gone)
    gone.stop(new AdapterError('CANCELLED', 'the client went away'))
    await expect(turn).rejects.toMatchObject({ code: 'CANCELLED' })
    expect([capacity.running, capacity.waiting]).toEqual([1, 0])
    const next = capacity.enter(lane, newCall())
    capacity.leave(lane, 1)
    await next
    expect([capacity.running, capacity.waiting]).toEqual([1, 0])
  })

  it('gives a place back that came in the same moment as the end of its call', async () => {
    const capacity = new Capacity({ concurrency: 1, queue: 1 })
    const lane = new Lane()
    void capacity.enter(lane, newCall())
    const gone = newCall()
    const turn = capacity.enter(lane, gone)
    capacity.leave(lane, 1)
    gone.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed'))
    await expect(turn).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    await settled()
    expect([capacity.running, capacity.waiting]).toEqual([0, 0])
  })
})
