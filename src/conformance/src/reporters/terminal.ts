import type { CaseResult } from '../case.ts'
import { BUDGET_MS, bucketsOf, statisticsOf, type Measurements } from '../measurements.ts'
import type { Report } from '../runner.ts'
import { visible } from '../visible.ts'
import type { Style } from '../style.ts'
import { countsOf, failedWith, productOf, sectionsOf, urlOf, verdictOf, withOutcome } from './summary.ts'

const BAR = 40

/** For people. */
export function terminalReport(report: Report, style: Style): string {
  const lines: string[] = [
    style.bold(`Azure EKM Proxy API 0.1-preview, conformance of ${urlOf(report)}`),
    ...(productOf(report) === '' ? [] : [style.dim(visible(productOf(report)))]),
  ]
  for (const { title, results } of sectionsOf(report)) {
    lines.push('', style.bold(title))
    for (const result of results) lines.push(...caseLines(result, style))
  }
  lines.push(...latencyLines(report.measurements, style), ...notRunLines(report, style), '')
  for (const [severity, colour] of [['must', style.bad] as const, ['should', style.warn] as const]) {
    const failed = failedWith(report, severity)
    if (failed.length > 0) lines.push(colour(`${severity}, and does not: ${failed.map(({ id }) => id).join(', ')}`))
  }
  const colour = report.conformant ? style.good : style.bad
  lines.push(colour(style.bold(verdictOf(report))), style.dim(`${total(report)} in ${report.seconds.toFixed(1)} s`))
  return lines.join('\n') + '\n'
}

function total(report: Report): string {
  const { passed, failedMust, failedShould } = countsOf(report)
  const checks = report.results.reduce((sum, result) => sum + result.checks, 0)
  return `${passed + failedMust + failedShould} cases, ${checks} checks`
}

function caseLines({ id, title, outcome, severity, last, reason }: CaseResult, style: Style): string[] {
  const name = id.padEnd(28)
  switch (outcome) {
    case 'passed':
      return [`  ${style.good('✓')} ${name} ${style.dim(title)}`]
    case 'not run':
      return [style.dim(`  - ${name} not run: ${visible(reason ?? '')}`)]
    case 'failed': {
      const colour = severity === 'must' ? style.bad : style.warn
      return [
        `  ${colour('✗')} ${colour(name)} ${title} ${colour(`(${severity})`)}`,
        `      sent      ${visible(last?.sent ?? '')}`,
        `      expected  ${last?.expected ?? ''}`,
        `      came      ${visible(last?.came ?? '')}`,
      ]
    }
  }
}

function notRunLines(report: Report, style: Style): string[] {
  const reasons = new Map<string, string[]>()
  for (const { id, reason = '' } of withOutcome(report, 'not run')) {
    reasons.set(reason, [...(reasons.get(reason) ?? []), id])
  }
  if (reasons.size === 0) return []
  return ['', style.bold('Not run'), ...[...reasons].map(([reason, ids]) => `  ${visible(reason)}: ${ids.join(', ')}`)]
}

const ms = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(1)).padStart(8)

function latencyLines(measurements: Measurements, style: Style): string[] {
  if (measurements.all.length === 0) return []
  const head = ['p50', 'p95', 'p99', 'max'].map((name) => name.padStart(8)).join('')
  const lines = ['', style.bold(`Latency in ms`.padEnd(20) + `${head}   beyond ${BUDGET_MS} ms   calls`)]
  for (const [name, samples] of measurements.all) {
    const { p50, p95, p99, max, beyondBudget, count } = statisticsOf(samples)
    const share = `${(beyondBudget * 100).toFixed(2)} %`.padStart(16)
    const colour = beyondBudget > 0 ? style.warn : (text: string) => text
    lines.push(
      `${`  ${name}`.padEnd(20)}${[p50, p95, p99, max].map(ms).join('')}${colour(share)}${String(count).padStart(8)}`,
    )
  }
  const load = measurements.all.filter(([name]) => name.startsWith('load')).flatMap(([, samples]) => [...samples])
  const keptAlive = measurements.of('keep-alive')
  if (load.length > 0) lines.push('', ...distribution('Distribution under load', load, style))
  else if (keptAlive.length > 0) lines.push('', ...distribution('Distribution, keep-alive', keptAlive, style))
  return lines
}

function distribution(title: string, samples: readonly number[], style: Style): string[] {
  const buckets = bucketsOf(samples)
  const most = Math.max(...buckets.map(({ count }) => count))
  return [
    style.bold(title),
    ...buckets.map(({ from, to, count }) => {
      const label = `${from} to ${to === Infinity ? '…' : to} ms`.padStart(18)
      const colour = from >= BUDGET_MS ? style.bad : style.good
      const share = ((count / samples.length) * 100).toFixed(2).padStart(7)
      return `${label} ${colour(bar(count / most).padEnd(BAR))} ${share} %  ${count}`
    }),
  ]
}

/** In eighths of a character. A share above 0 is always visible. */
function bar(share: number): string {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * BAR * 8))
  return '█'.repeat(Math.floor(eighths / 8)) + ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'][eighths % 8]
}
