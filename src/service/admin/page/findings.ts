import type { Finding } from '../finding.ts'
import { shown } from '../words.ts'
import { badge, markup, type Fragment } from './markup.ts'

/** The worst are first. */
const MAX_ITEMS = 30

/** What somebody has to look at, whose turn it is, and what to do. */
export function findingSection(findings: readonly Finding[]): Fragment {
  if (findings.length === 0) {
    return markup`<section aria-labelledby="to-do"><h2 id="to-do">What to do</h2><p class="quiet">Nothing.</p></section>`
  }
  return markup`<section aria-labelledby="to-do"><h2 id="to-do">What to do</h2>
<ol class="findings">${findings.slice(0, MAX_ITEMS).map(item)}</ol>${
    findings.length > MAX_ITEMS ? markup`<p class="soft">And ${findings.length - MAX_ITEMS} more.</p>` : ''
  }</section>`
}

const item = ({ level, subject, found, turn, advice, command, runbook }: Finding): Fragment =>
  markup`<li class="${level}">
<p class="found">${badge(level === 'critical' ? 'bad' : 'warning', level)} <b>${shown(subject)}</b>: ${shown(found)}.</p>
<p class="step"><span class="label">To do</span><span>${shown(advice)}.${command === undefined ? '' : markup` <code>${shown(command)}</code>`}</span></p>
<p class="step"><span class="label">Whose turn</span><span>${turn} <span class="soft">· runbook ${runbook}</span></span></p>
</li>
`
