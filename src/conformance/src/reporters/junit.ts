import type { CaseResult } from '../case.ts'
import type { Report } from '../runner.ts'
import { escapeMarkup as x } from './markup.ts'
import { countsOf, sectionsOf, urlOf, verdictOf } from './summary.ts'

/** JUnit's XML. A failed `should` counts as skipped, so that it does not fail a build. */
export function junitReport(report: Report): string {
  const { failedMust, failedShould, notRun } = countsOf(report)
  const suites = sectionsOf(report).map(({ title, results }) => {
    const failures = results.filter((result) => isFailure(result)).length
    const skipped = results.filter(({ outcome }) => outcome !== 'passed').length - failures
    const seconds = results.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 1000
    return [
      `  <testsuite name="${x(title)}" tests="${results.length}" failures="${failures}" errors="0" skipped="${skipped}" time="${seconds.toFixed(3)}">`,
      ...results.map(testcase),
      '  </testsuite>',
    ].join('\n')
  })
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<!-- ${x(urlOf(report)).replaceAll('--', '- -')}: ${x(verdictOf(report))} -->`,
    `<testsuites name="Azure EKM Proxy API conformance" tests="${report.results.length}" failures="${failedMust}" errors="0" skipped="${failedShould + notRun}" time="${report.seconds.toFixed(3)}">`,
    ...suites,
    '</testsuites>\n',
  ].join('\n')
}

const isFailure = ({ outcome, severity }: CaseResult) => outcome === 'failed' && severity === 'must'

function testcase(result: CaseResult): string {
  const { id, title, outcome, reason = '', last, milliseconds } = result
  const [group = '', ...rule] = id.split('.')
  const seconds = (milliseconds / 1000).toFixed(3)
  const head = `    <testcase classname="${x(group)}" name="${x(rule.join('.'))}: ${x(title)}" time="${seconds}"`
  const told = last ? `sent ${last.sent}\nexpected ${last.expected}\ncame ${last.came}` : ''
  if (outcome === 'passed') return `${head}/>`
  if (outcome === 'not run') return `${head}><skipped message="${x(`not run: ${reason}`)}"/></testcase>`
  if (isFailure(result)) {
    return `${head}><failure message="${x(`expected ${last?.expected ?? ''}, came ${last?.came ?? ''}`)}">${x(told)}</failure></testcase>`
  }
  return `${head}><skipped message="${x(`should, and does not: ${told}`)}"/></testcase>`
}
