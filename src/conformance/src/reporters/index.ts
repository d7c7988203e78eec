import type { Report } from '../runner.ts'
import type { Style } from '../style.ts'
import { htmlReport } from './html.ts'
import { jsonReport } from './json.ts'
import { junitReport } from './junit.ts'
import { tapReport } from './tap.ts'
import { terminalReport } from './terminal.ts'

/** The report as text, by the value of `--format`. */
export const reporters = {
  text: terminalReport,
  tap: tapReport,
  junit: junitReport,
  json: jsonReport,
  html: htmlReport,
} satisfies Record<string, (report: Report, style: Style) => string>

export type Format = keyof typeof reporters

export const formats = Object.keys(reporters) as readonly Format[]
