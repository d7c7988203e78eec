import type { CaseResult } from '../case.ts'
import { BUDGET_MS, statisticsOf, type Measurements } from '../measurements.ts'
import type { Report } from '../runner.ts'
import { latencyPicture } from './latency-picture.ts'
import { escapeMarkup as h } from './markup.ts'
import { countsOf, productOf, sectionsOf, urlOf, verdictOf, type ReportSection } from './summary.ts'

/** One page for filing: without scripts, fonts and links, so that it needs no other file. */
export function htmlReport(report: Report): string {
  const { passed, failedMust, failedShould, notRun } = countsOf(report)
  const checks = report.results.reduce((sum, result) => sum + result.checks, 0)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>EKM Proxy conformance: ${h(urlOf(report))}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<p class="over">Azure EKM Proxy API 0.1-preview · conformance report</p>
<h1>${h(urlOf(report))}</h1>
<p class="product">${h(productOf(report))}</p>
<p class="verdict ${report.conformant ? 'good' : 'bad'}">${h(verdictOf(report))}</p>
<dl class="facts">
${fact('passed', passed)}${fact('failed, must', failedMust)}${fact('failed, should', failedShould)}${fact('not run', notRun)}
${fact('checks', checks)}${fact('started', report.startedAt.toISOString().replace(/\.\d+/, ''))}${fact('took', `${report.seconds.toFixed(1)} s`)}
</dl>
</header>
<main>
${latencySection(report.measurements)}
${sectionsOf(report).map(resultSection).join('\n')}
</main>
<footer>Made by ekm-conformance. <b>must</b>: the reference obliges. <b>should</b>: advice, which does not decide. Data keys were throwaways of this run; values are not shown.</footer>
</body>
</html>
`
}

const fact = (name: string, value: string | number) => `<div><dt>${h(name)}</dt><dd>${h(String(value))}</dd></div>`

function latencySection(measurements: Measurements): string {
  if (measurements.all.length === 0) return ''
  const rows = measurements.all.map(([name, samples]) => {
    const { p50, p95, p99, max, beyondBudget, count } = statisticsOf(samples)
    const times = [p50, p95, p99, max].map((ms) => `<td>${ms.toFixed(2)}</td>`).join('')
    const share = `${(beyondBudget * 100).toFixed(2)} %`
    return `<tr><th>${h(name)}</th>${times}<td class="${beyondBudget > 0 ? 'bad' : ''}">${share}</td><td>${count}</td></tr>`
  })
  const { load } = measurements
  const plan = load
    ? `<p>Load: ${load.sent} calls, ${load.rate} a second for ${load.seconds} s over ${load.connections} connections. A call counts from when it was due.</p>`
    : ''
  return `<section><h2>Latency</h2>${latencyPicture(measurements)}${plan}
<table class="latency"><thead><tr><th></th><th>p50 ms</th><th>p95 ms</th><th>p99 ms</th><th>max ms</th><th>beyond ${BUDGET_MS} ms</th><th>calls</th></tr></thead>
<tbody>${rows.join('')}</tbody></table></section>`
}

const resultSection = ({ title, results }: ReportSection) =>
  `<section><h2>${h(title)}</h2><table class="cases"><tbody>${results.map(row).join('')}</tbody></table></section>`

function row({ id, title, clause, severity, outcome, reason, last, checks }: CaseResult): string {
  const kind = outcome === 'failed' ? `failed-${severity}` : outcome.replace(' ', '-')
  const mark = { passed: '✓', failed: '✗', 'not run': '–' }[outcome]
  const steps = last
    ? `<dl class="step"><dt>sent</dt><dd>${h(last.sent)}</dd><dt>expected</dt><dd>${h(last.expected)}</dd><dt>came</dt><dd>${h(last.came)}</dd></dl>`
    : ''
  const told =
    outcome === 'not run'
      ? `<p class="reason">not run: ${h(reason ?? '')}</p>`
      : `<details${outcome === 'failed' ? ' open' : ''}><summary>${checks} ${checks === 1 ? 'check' : 'checks'}${outcome === 'failed' ? '; the one that failed' : '; the last'}</summary>${steps}</details>`
  return `<tr class="${kind}"><td class="mark">${mark}</td><td><p class="title">${h(title)}</p><p class="about"><code>${h(id)}</code> · ${severity} · ${h(clause)}</p>${told}</td></tr>`
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6678;--line:#dfe4ec;--paper:#fff;--good:#0a7d48;--bad:#c02b2b;--warn:#9a6200;--tint:#f5f7fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf1;--soft:#9aa6b8;--line:#313a49;--paper:#141a23;--good:#48c78e;--bad:#ff7b7b;--warn:#e3b341;--tint:#1b222d}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:2rem 1.25rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{margin:0;font-size:1.6rem;overflow-wrap:anywhere}h2{margin:2.2rem 0 .5rem;font-size:1.15rem}p{margin:0}
.over,.product,.about,footer,dt{color:var(--soft);font-size:.875rem}
.verdict{margin:1rem 0;padding:.7rem 1rem;border-left:5px solid;background:var(--tint);font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}
.facts{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:0}.facts dd{margin:0;font-weight:600}
table{width:100%;border-collapse:collapse}td,th{padding:.45rem .5rem;border-top:1px solid var(--line);vertical-align:top;text-align:left}
.latency td,.latency thead th{text-align:right;font-variant-numeric:tabular-nums}.latency th{font-weight:600}
.mark{width:1.6rem;font-weight:700;color:var(--good)}
.failed-must .mark,.failed-must .title{color:var(--bad)}.failed-should .mark,.failed-should .title{color:var(--warn)}
.not-run .mark,.not-run .title,.reason{color:var(--soft)}.reason,summary{font-size:.875rem}summary{cursor:pointer;color:var(--soft)}
.step{display:grid;grid-template-columns:5.5rem 1fr;gap:.1rem .5rem;margin:.3rem 0;font-size:.85rem}.step dd{margin:0;font-family:ui-monospace,monospace;overflow-wrap:anywhere}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:var(--soft)}.grid{stroke:var(--line)}.budget{stroke:var(--bad);stroke-dasharray:5 4}svg .budget-label{fill:var(--bad)}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem}
@media print{body{max-width:none;padding:0}tr{break-inside:avoid}}
`
