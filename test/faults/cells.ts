import { expect, it } from 'vitest'
import type { Exchange } from '../support/steady-stream.ts'
import { drive, type Fault, type Outcome, type Seen } from './drive.ts'
import type { Site, Stream } from './site.ts'

/** A row of the matrix: a fault, and all that it may cost. matrix.test.ts has the meaning of each column. */
export interface Row<S extends Site> extends Fault<S>, Expected {}

interface Expected {
  readonly touches: 'nothing' | 'a key' | 'the backend'
  readonly answers: readonly number[]
  readonly tells: readonly string[]
  readonly mayTell?: readonly string[]
  readonly backMs: number
}

/** A row that runs, or has run. */
export interface DrivenRow extends Expected, Pick<Fault<Site>, 'what' | 'ready'> {
  readonly outcome: () => Promise<Outcome>
}

/** The rows of one gateway, one after the other. */
export function group<S extends Site>(name: string, start: () => Promise<S>, rows: readonly Row<S>[]) {
  let site: Promise<S> | undefined
  const outcomes = new Map<string, Promise<Outcome>>()
  return {
    name,
    rows: rows.map((row): DrivenRow => ({
      ...row,
      outcome: () => outcomes.get(row.what) ?? Promise.reject(new Error('it was not driven')),
    })),
    run: async () => {
      site = start()
      const started = await site
      for (const row of rows) {
        const outcome = driveInPeace(started, row)
        outcomes.set(row.what, outcome)
        // The row's cells tell of it.
        await outcome.catch(() => undefined)
      }
    },
    stop: async () => (await site)?.[Symbol.asyncDispose](),
  }
}

/** A pool that has nothing to do with the fault waits longer than this where the machine has no time for any of it. */
const DISTURBED_MS = 100
const ATTEMPTS = 4

/** What happens while the machine is busy with something else says nothing: the row is driven anew. */
async function driveInPeace<S extends Site>(site: S, row: Row<S>, attempt = 1): Promise<Outcome> {
  const outcome = await drive(site, row)
  const { exchanges } = outcome.streams['other backend']
  const isDisturbed = exchanges.some(({ sent, ended }) => ended - sent > DISTURBED_MS)
  return isDisturbed && attempt < ATTEMPTS ? driveInPeace(site, row, attempt + 1) : outcome
}

/**
 * What others are kept waiting beside what a pool of another backend is, in the same process at the same time. The target of
 * 10 ms needs a machine that does nothing else: `npm run bench` has it.
 */
const LATER_MS = 100
/** A KMIP server and the relay before it are in this process too, and have as long to wait for it. */
const HOPS = 3
const SLOWEST_PART = 0.95

export function describeCells({ outcome, touches, answers, ready, tells, mayTell = [], backMs }: DrivenRow): void {
  const isTouched = (stream: Stream) =>
    stream === 'touched' || (touches === 'the backend' && stream !== 'other backend')
  const cell = async (stream: Stream) => {
    const { streams } = await outcome()
    if (isTouched(stream)) expectAnswers(streams[stream], answers)
    else expectNothingLost(streams[stream], streams['other backend'])
  }

  it('the key touched', () => cell('touched'))
  it('another key', () => cell('other key'))
  it('another pool of the backend', () => cell('other pool'))
  it('a pool of another backend', () => cell('other backend'))

  it('readiness', async () => {
    const { during, after } = (await outcome()).looks
    // One pool's backend takes no gateway out of the balancer.
    for (const look of [...during, after]) expect(look).toMatchObject({ ready: true, pools: { elsewhere: true } })
    if (ready === true) for (const look of during) expect(look.pools).toEqual(poolsOf(true))
    if (ready === false) expect(during.at(-1)?.pools).toEqual(poolsOf(false))
    expect(after.pools).toEqual(poolsOf(true))
  })

  it('events', async () => {
    const events = (await outcome()).events.map(({ event }) => event)
    expect(events.filter((event) => !mayTell.includes(event)).toSorted()).toEqual(tells.toSorted())
  })

  it('metrics', async () => {
    const { counts, gauges } = await outcome()
    expect(counts.told).toEqual(counts.seen)
    if (ready !== undefined) expect(gauges.during).toEqual({ up: ready, ready: poolsOf(ready) })
    expect(gauges.after).toEqual({ up: true, ready: poolsOf(true) })
  })

  it('recovery', async () => {
    expect((await outcome()).backMs).toBeLessThanOrEqual(backMs)
  })
}

const poolsOf = (ready: boolean) => ({ here: ready, beside: ready, elsewhere: true })

function expectAnswers({ exchanges, failures }: Seen, answers: readonly number[]): void {
  const statuses = new Set(exchanges.map(({ status }) => status))
  expect([...statuses].filter((status) => status !== 200 && !answers.includes(status))).toEqual([])
  expect([...statuses]).toContain(answers[0])
  expectNoneWrong(failures)
}

function expectNothingLost({ exchanges, failures }: Seen, control: Seen): void {
  expect(failures.map(({ what }) => what)).toEqual([])
  expect(exchanges.length).toBeGreaterThan(5)
  expect(slowest(exchanges)).toBeLessThan(LATER_MS + HOPS * slowest(control.exchanges))
}

/** Of all failures a wrong value would be the worst. */
const expectNoneWrong = (failures: Seen['failures']) =>
  expect(failures.filter(({ status }) => status === 200).map(({ what }) => what)).toEqual([])

function slowest(exchanges: readonly Exchange[]): number {
  const times = exchanges.map(({ sent, ended }) => ended - sent).toSorted((one, other) => one - other)
  return times[Math.floor(SLOWEST_PART * times.length)] ?? 0
}
