import { describe, expect, it } from 'vitest'
import { passes, type Check } from './figure.ts'
import { chartOf } from './report/chart.ts'
import { pageOf } from './report/document.ts'
import {
  formatMeasured,
  formatTarget,
  mergeRuns,
  withLatestTargets,
  type FigureResult,
  type Run,
} from './report/results.ts'
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
  const page = '# Title\n<!-- npm run bench -- --write-docs: begin --><!-- npm run bench -- --write-docs: end -->\n'
  const withNotes = (serverNode: string, values: readonly number[], ...notes: string[]): Run => {
    const base = run(serverNode, ['wrap'])
    const series = [{ what: 'gateway', unit: 'requests/s', values }]
    return { ...base, figures: base.figures.map((figure) => ({ ...figure, outcome: { checks: [], series, notes } })) }
  }
  const text = pageOf(page, [
    withNotes('20.1.0', [10, 30, 20], 'It holds for all.', '6 turns.'),
    withNotes('24.1.0', [1234.5], 'It holds for all.', '3 turns.'),
    withNotes('26.1.0', [], 'It holds for all.', '3 turns.'),
  ])

  it('has the median of each measured series in a table, with its unit', () => {
    expect(text).toContain('| measured | Node.js 20.1.0 | Node.js 24.1.0 | Node.js 26.1.0 |')
    expect(text).toContain('| gateway (requests/s) | 20 | 1230 |  |')
  })

  it('has each note once, with the versions of Node.js if it does not hold for all', () => {
    expect(text).toContain('\n- It holds for all.\n- Node.js 20.1.0: 6 turns.\n- Node.js 24.1.0, 26.1.0: 3 turns.\n')
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
