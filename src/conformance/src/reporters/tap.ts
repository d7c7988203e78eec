import { visible } from '../visible.ts'
import type { Report } from '../runner.ts'
import { verdictOf } from './summary.ts'

/** TAP 14. A failed `should` is a TODO, so that it does not fail the run. A case that was not run is a SKIP. */
export function tapReport(report: Report): string {
  const lines = ['TAP version 14', `1..${report.results.length}`]
  for (const [index, { id, title, outcome, severity, reason = '', last, milliseconds }] of report.results.entries()) {
    const status = outcome === 'failed' ? 'not ok' : 'ok'
    const directive =
      outcome === 'not run'
        ? ` # SKIP ${escape(reason)}`
        : severity === 'should' && outcome === 'failed'
          ? ' # TODO should'
          : ''
    lines.push(`${status} ${index + 1} - ${id} ${escape(title)}${directive}`)
    lines.push('  ---', `  severity: ${severity}`, `  duration_ms: ${milliseconds.toFixed(1)}`)
    if (outcome === 'failed' && last) {
      // A JSON string is also a YAML string.
      for (const member of ['sent', 'expected', 'came'] as const) {
        lines.push(`  ${member}: ${JSON.stringify(last[member])}`)
      }
    }
    lines.push('  ...')
  }
  return visible([...lines, `# ${verdictOf(report)}`].join('\n')) + '\n'
}

const escape = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('#', '\\#')
