import { expect, it } from 'vitest'
import type { LogLine } from '../support/gateway.ts'
import type { Exchange } from '../support/steady-stream.ts'
import { drive, type Fault, type Outcome, type Seen } from './drive.ts'
import type { Site, Stream } from './site.ts'

/** A row of the matrix: a fault, and everything that it may cost. matrix.test.ts explains each column. */
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

/** The rows of one gateway, in sequence. */
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
        // The row's cells report the failure.
        await outcome.catch(() => undefined)
      }
    },
    stop: async () => (await site)?.[Symbol.asyncDispose](),
  }
}

/** If a pool that is unrelated to the fault waits longer than this, the machine is too busy to measure. */
const DISTURBED_MS = 100
const ATTEMPTS = 4

/** Drives the row anew if the machine was busy, since such a run says nothing. */
async function driveInPeace<S extends Site>(site: S, row: Row<S>, attempt = 1): Promise<Outcome> {
  const outcome = await drive(site, row)
  const { exchanges } = outcome.streams['other backend']
  const isDisturbed = exchanges.some(({ sent, ended }) => ended - sent > DISTURBED_MS)
  return isDisturbed && attempt < ATTEMPTS ? driveInPeace(site, row, attempt + 1) : outcome
}

/**
 * How much longer others may wait than a pool of another backend in the same process at the same time. The target of 10
 * ms needs an idle machine: `npm run bench` measures it.
 */
const LATER_MS = 100
/** A KMIP server and its relay are in this process too, so that a call waits for the process three times. */
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

  it('is as promised for the key touched', () => cell('touched'))
  it('is as promised for another key', () => cell('other key'))
  it('is as promised for another pool of the backend', () => cell('other pool'))
  it('is as promised for a pool of another backend', () => cell('other backend'))

  it('is as promised in readiness', async () => {
    const { during, after } = (await outcome()).looks
    // One pool's backend must not take the gateway out of the balancer.
    for (const look of [...during, after]) expect(look).toMatchObject({ ready: true, pools: { elsewhere: true } })
    if (ready === true) for (const look of during) expect(look.pools).toEqual(poolsOf(true))
    if (ready === false) expect(during.at(-1)?.pools).toEqual(poolsOf(false))
    expect(after.pools).toEqual(poolsOf(true))
  })

  it('is as promised in its events', async () => {
    const { events } = await outcome()
    const told = events.filter((event, index) => !tellsAnotherReason(event, events.slice(0, index)))
    const names = told.map(({ event }) => event).filter((event) => !mayTell.includes(event))
    expect(names.toSorted()).toEqual(tells.toSorted())
  })

  it('is as promised in its metrics', async () => {
    const { counts, gauges } = await outcome()
    expect(counts.told).toEqual(counts.seen)
    if (ready !== undefined) expect(gauges.during).toEqual({ up: ready, ready: poolsOf(ready) })
    expect(gauges.after).toEqual({ up: true, ready: poolsOf(true) })
  })

  it('is as promised in its recovery', async () => {
    expect((await outcome()).backMs).toBeLessThanOrEqual(backMs)
  })
}

/** What makes a server unreachable may change from one probe to the next, and each reason is told. */
const tellsAnotherReason = (told: LogLine, before: readonly LogLine[]) =>
  told.event === 'kmip_server_unreachable' &&
  before.some(({ event, ...fields }) => event === told.event && fields['code'] !== told['code'])

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

/** A wrong value would be the worst of all failures. */
const expectNoneWrong = (failures: Seen['failures']) =>
  expect(failures.filter(({ status }) => status === 200).map(({ what }) => what)).toEqual([])

function slowest(exchanges: readonly Exchange[]): number {
  const times = exchanges.map(({ sent, ended }) => ended - sent).toSorted((one, other) => one - other)
  return times[Math.floor(SLOWEST_PART * times.length)] ?? 0
}
