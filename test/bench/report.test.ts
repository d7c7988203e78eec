import { describe, expect, it } from 'vitest'
import { passes, type Check } from './figure.ts'
import { chartOf } from './report/chart.ts'
import { pageOf } from './report/document.ts'
import { missedSection } from './report/missed-section.ts'
import { exampleSection, processorTimeSection } from './report/processor-time-section.ts'
import {
  formatMeasured,
  formatTarget,
  mergeRuns,
  withLatestTargets,
  type FigureResult,
  type Run,
} from './report/results.ts'
import { resultsSection } from './report/results-section.ts'
import { tableOf } from './report/table.ts'
import { median, paired, quantile, ratio, spreadOf } from './statistics.ts'

const plain = (text: string) => text
const style = { good: plain, bad: plain, warn: plain, dim: plain, bold: plain }

const run = (serverNode: string, names: readonly string[], seconds = 3): Run => ({
  machine: {
    cpu: 'a processor',
    cores: 2,
    virtual: true,
    memoryGiB: 4,
    kernel: '6',
    system: 'a system',
    serverNode,
    serverOpenssl: '3',
    generatorNode: '20.0.0',
    placement: 'apart',
  },
  plan: { repetitions: 3, seconds, warmUpSeconds: 1, serialRequests: 1, handshakes: 1, rateSeconds: 1, soakMinutes: 1 },
  figures: names.map((name): FigureResult => ({ name, title: name, measuredAt: `${seconds}`, loadBefore: 0 })),
})
const check = (changes: Partial<Check>): Check => ({
  what: 'throughput',
  relation: 'at least',
  target: 0.8,
  unit: '×',
  measured: { median: 0.9, low: 0.85, high: 0.95 },
  ...changes,
})
const withChecks = (...checks: Check[]): Run => {
  const base = run('20.0.0', ['wrap'])
  return { ...base, figures: base.figures.map((figure) => ({ ...figure, outcome: { checks, series: [], notes: [] } })) }
}
const versioned = (serverNode: string, ...checks: Check[]): Run => {
  const base = withChecks(...checks)
  return { ...base, machine: { ...base.machine, serverNode } }
}

describe('the benchmark’s statistics', () => {
  it('take the nearest rank, whatever the order', () => {
    const values = [5, 1, 4, 2, 3]
    expect(median(values)).toBe(3)
    expect(median([8, 2, 6, 1])).toBe(4)
    expect(median([])).toBeNaN()
    expect(quantile(values, 0.99)).toBe(5)
    expect(quantile([], 0.5)).toBeNaN()
    expect(spreadOf(values)).toEqual({ median: 3, low: 1, high: 5 })
  })

  it('compare what was measured right after one another', () => {
    expect(paired([10, 40], [20, 40], ratio)).toEqual([0.5, 1])
  })
})

describe('a check of the benchmark', () => {
  it('has the target of the latest measurement, also where an older one had an easier target', () => {
    const measured = (measuredAt: string, target: number): Run => {
      const base = withChecks(check({ target }))
      return { ...base, figures: base.figures.map((figure) => ({ ...figure, measuredAt })) }
    }
    const runs = withLatestTargets([measured('2026-11-30', 0.95), measured('2026-11-27', 0.5)])
    const checks = runs.flatMap(({ figures }) => figures).flatMap(({ outcome }) => outcome?.checks ?? [])
    expect(checks.map(({ target }) => target)).toEqual([0.95, 0.95])
    expect(checks.map(passes)).toEqual([false, false])
  })

  it.each([
    [{}, true, '≥ 0.8 ×', '0.90 × (0.85 to 0.95)'],
    [{ relation: 'at most' }, false, '≤ 0.8 ×', '0.90 × (0.85 to 0.95)'],
    [{ relation: 'at most', unit: 'of', target: 0, measured: spreadOf([0]) }, true, 'none', '0'],
    [{ relation: 'at most', unit: 'of', target: 0, measured: spreadOf([2]) }, false, 'none', '2'],
    [{ measured: { median: NaN, low: NaN, high: NaN } }, false, '≥ 0.8 ×', 'NaN × (NaN to NaN)'],
  ] as const)('%j passes: %s', (changes, passed, target, measured) => {
    expect(passes(check(changes))).toBe(passed)
    expect(formatTarget(check(changes))).toBe(target)
    expect(formatMeasured(check(changes))).toBe(measured)
  })
})

describe('a report’s earlier results', () => {
  const names = (runs: readonly Run[]) => runs.map(({ figures }) => figures.map(({ name }) => name).join())
  const order = ['wrap', 'rate', 'soak']

  it('stay in the report where they were not measured again', () => {
    const merged = mergeRuns([run('20.1.0', ['wrap', 'soak'])], run('20.1.0', ['rate']), order)
    expect(names(merged)).toEqual(['wrap,rate,soak'])
  })

  it.each([
    ['another machine', run('20.2.0', ['rate'])],
    ['another plan', run('20.1.0', ['rate'], 9)],
  ])('of %s are dropped', (_, latest) => {
    expect(names(mergeRuns([run('20.1.0', ['wrap', 'soak'])], latest, order))).toEqual(['rate'])
  })

  it('of another major version of Node.js stand in a column beside', () => {
    expect(names(mergeRuns([run('24.0.0', ['wrap'])], run('20.1.0', ['rate']), order))).toEqual(['rate', 'wrap'])
  })
})

describe('the page of a report', () => {
  const mark = (edge: string) => `<!-- npm run bench -- --write-docs, results: ${edge} -->`
  const page = `# Title\n${mark('begin')}stale${mark('end')}\nBy hand.\n`
  const sections = { results: resultsSection }
  const withNotes = (serverNode: string, values: readonly number[], ...notes: string[]): Run => {
    const base = run(serverNode, ['wrap'])
    const series = [{ what: 'gateway', unit: 'requests/s', values }]
    return { ...base, figures: base.figures.map((figure) => ({ ...figure, outcome: { checks: [], series, notes } })) }
  }
  const text = pageOf(page, sections, [
    withNotes('20.1.0', [10, 30, 20], 'It holds for all.', '6 turns.'),
    withNotes('24.1.0', [1234.5], 'It holds for all.', '3 turns.'),
    withNotes('26.1.0', [], 'It holds for all.', '3 turns.'),
  ])

  it('has the median of each measured series in a table, with its unit', () => {
    expect(text).toContain('| measured | Node.js 20.1.0 | Node.js 24.1.0 | Node.js 26.1.0 |')
    expect(text).toContain('| gateway (requests/s) | 20 | 1230 |  |')
  })

  it('keeps what stands outside of its marks, and refuses to lose a section', () => {
    expect(text).toMatch(/^# Title\n/)
    expect(text).toMatch(/\nBy hand\.\n$/)
    expect(text).not.toContain('stale')
    expect(() => pageOf(page, { missed: missedSection }, [])).toThrow('--write-docs, missed: begin')
  })

  it('has a check that only a later version of Node.js has', () => {
    const table = resultsSection([versioned('20.1.0', check({})), versioned('24.1.0', check({ what: 'added later' }))])
    expect(table).toContain('| added later | ≥ 0.8 × |  | 0.90 × (0.85 to 0.95) |')
  })

  it('has each note once, with the versions of Node.js if it does not hold for all', () => {
    expect(text).toContain('\n- It holds for all.\n- Node.js 20.1.0: 6 turns.\n- Node.js 24.1.0, 26.1.0: 3 turns.\n')
  })
})

describe('the section of missed targets', () => {
  const missed = check({ what: 'latency', relation: 'at most', unit: 'ms', target: 10, measured: spreadOf([12]) })
  const met = { ...missed, measured: spreadOf([8]) }

  it('has each check that a version of Node.js misses, and what the others have', () => {
    const text = missedSection([
      versioned('20.1.0', check({})),
      versioned('24.1.0', check({}), missed),
      versioned('26.1.0', check({}), met),
    ])
    expect(text.split('\n')).toEqual([
      '| what | by | target | Node.js 20.1.0 | Node.js 24.1.0 | Node.js 26.1.0 |',
      '| --- | --- | --- | --- | --- | --- |',
      '| latency | `wrap` | ≤ 10 ms |  | **12.0 ms** | 8.00 ms |',
    ])
  })

  it('says that nothing is missed', () => {
    expect(missedSection([versioned('24.1.0', met)])).toBe('No measured value misses its target.')
  })
})

describe('the section of processor times', () => {
  const series = (rate: number): Record<string, Record<string, readonly number[]>> => ({
    wrap: { 'gateway, for each second of CPU': [10_000, 20_000, 90_000] },
    softhsm: { SoftHSM: [rate], 'SoftHSM: gateway and HSM hosts together': [150] },
    handshakes: { 'gateway, full': [1.2345], 'gateway, resumed': [0.6] },
  })
  const measured = (serverNode: string, rate: number): Run => ({
    ...run(serverNode, []),
    figures: Object.entries(series(rate)).map(([name, values]) => ({
      name,
      title: name,
      measuredAt: '',
      loadBefore: 0,
      outcome: {
        checks: [],
        series: Object.entries(values).map(([what, list]) => ({ what, unit: '', values: list })),
        notes: [],
      },
    })),
  })

  it('has those of the Node.js that the release carries', () => {
    const text = processorTimeSection([measured('20.1.0', 1), measured('24.1.0', 6000), measured('26.1.0', 2)])
    expect(text).toContain('Measured on Node.js 24.1.0:')
    expect(text).toContain('| 50 µs | `wrap`: 20,000 requests for each second of CPU |')
    expect(text).toContain('| 250 µs | `softhsm`: 6,000 requests/s on 1.5 cores |')
    expect(text).toContain('| a new connection, full handshake | 1.23 ms |')
    expect(text).toContain('| a new connection, resumed session | 0.6 ms |')
  })

  it.each([
    [6000, '250 µs = 1.5 cores', 'ceil(1.5 / 1) = 2', '`N` = 3, or 4', '0.5 of 2 cores: 25 %', '0.75 of 2 cores: 38 %'],
    [9000, '167 µs = 1 cores', 'ceil(1 / 1) = 1', '`N` = 2, or 3', '0.5 of 2 cores: 25 %', '1 of 2 cores: 50 %'],
  ])('has an example that follows from them, at %d calls/s of SoftHSM', (rate, ...parts) => {
    const text = exampleSection([measured('24.1.0', rate)])
    for (const part of parts) expect(text).toContain(part)
    expect(text).toContain('500 × 0.6 ms = 0.3 s of')
    expect(text).toContain(', 0.61 s without')
  })

  it('says so if a figure of them was not measured', () => {
    const [first] = measured('24.1.0', 6000).figures
    const runs = [{ ...run('24.1.0', []), figures: first ? [first] : [] }]
    for (const section of [processorTimeSection, exampleSection])
      expect(section(runs)).toBe('`wrap`, `softhsm` and `handshakes` were not all measured on Node.js 24.')
  })
})

describe('a report of the benchmark', () => {
  it('distinguishes met checks from missed, unavailable and failed ones', () => {
    const base = withChecks(check({}), check({ what: 'latency', target: 0.99 }))
    const text = tableOf(
      {
        ...base,
        figures: [
          ...base.figures,
          { name: 'workers', title: '', measuredAt: '', loadBefore: 0, notAvailable: 'no such setting' },
          { name: 'rsa', title: '', measuredAt: '', loadBefore: 0, failed: 'it broke' },
        ],
      },
      style,
    )
    expect(text).toMatch(/✓ throughput .*0\.90 ×.*≥ 0\.8 ×/)
    expect(text).toMatch(/✗ latency .*≥ 0\.99 ×/)
    expect(text).toContain('- not available: no such setting')
    expect(text).toContain('✗ could not be measured: it broke')
  })

  it('has a chart with a bar for each check that has a target to compare with, red if it is missed', () => {
    const svg = chartOf([
      withChecks(
        check({}),
        check({ what: '<missed>', target: 0.99 }),
        check({ what: 'failures', relation: 'at most', unit: 'of', target: 0, measured: spreadOf([0]) }),
      ),
    ])
    expect(svg).toContain('wrap: throughput')
    expect(svg).toContain('wrap: &lt;missed&gt;')
    expect(svg).not.toContain('failures')
    expect(svg.match(/fill="#dc2626"/g)).toHaveLength(1)
  })
})
