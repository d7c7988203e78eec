import type { CaseResult } from '../case.ts'
import { sections } from '../catalogue.ts'
import type { Outcome } from '../outcome.ts'
import type { Report } from '../runner.ts'

export interface ReportSection {
  readonly title: string
  readonly results: readonly CaseResult[]
}

/** The results by sections of the catalogue. A section without results is left out. */
export function sectionsOf({ results }: Report): ReportSection[] {
  const byId = new Map(results.map((result) => [result.id, result]))
  return sections
    .map(({ title, cases }) => ({ title, results: cases.flatMap(({ id }) => byId.get(id) ?? []) }))
    .filter(({ results }) => results.length > 0)
}

export const withOutcome = ({ results }: Pick<Report, 'results'>, outcome: Outcome): CaseResult[] =>
  results.filter((result) => result.outcome === outcome)

export const failedWith = (report: Pick<Report, 'results'>, severity: CaseResult['severity']): CaseResult[] =>
  withOutcome(report, 'failed').filter((result) => result.severity === severity)

export const countsOf = (report: Report) => ({
  passed: withOutcome(report, 'passed').length,
  failedMust: failedWith(report, 'must').length,
  failedShould: failedWith(report, 'should').length,
  notRun: withOutcome(report, 'not run').length,
})

/** The result in one sentence. */
export function verdictOf(report: Report): string {
  const { passed, failedMust, failedShould, notRun } = countsOf(report)
  const judged = passed + failedMust + failedShould
  const advice = failedShould > 0 ? `; ${failedShould} that it should keep and does not` : ''
  const unknown = notRun > 0 ? `; ${notRun} not run` : ''
  return report.conformant
    ? `conformant: ${passed} of ${judged} rules kept${advice}${unknown}`
    : `NOT conformant: ${failedMust} of ${judged} rules broken that it must keep${advice}${unknown}`
}

export const urlOf = ({ target: { host, port, prefix } }: Report): string =>
  `https://${host.includes(':') ? `[${host}]` : host}:${port}/${prefix}`

/** The product as the proxy names it, in one line. */
export const productOf = ({ about }: Report): string =>
  ['proxy_vendor', 'proxy_name', 'ekm_vendor', 'ekm_product']
    .map((member) => about[member])
    .filter((text) => typeof text === 'string')
    .join(', ')
    // The proxy chose this text, and it goes to a terminal.
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
