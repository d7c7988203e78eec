import { createHash } from 'node:crypto'
import { raw } from 'hono/html'
import { count } from '../../../base/words.ts'
import { findingsOf, verdictOf, type Verdict } from '../findings.ts'
import type { Look } from '../look.ts'
import { clock, duration } from '../words.ts'
import { backendSection } from './backends.ts'
import { findingSection } from './findings.ts'
import { gatewaySection } from './gateway.ts'
import { mark, markup, type Fragment } from './markup.ts'
import { poolSection } from './pools.ts'
import { SCRIPT } from './script.ts'
import { STYLE } from './style.ts'

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** The page loads nothing, and nothing on it runs but its one script, which asks the gateway alone. */
export const contentSecurityPolicy = [
  "default-src 'none'",
  `script-src ${hashOf(SCRIPT)}`,
  `style-src ${hashOf(STYLE)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The whole page, complete without its script: that only asks for it again, and puts the new picture in place. */
export function statusPage(look: Look): Fragment {
  const findings = findingsOf(look)
  const verdict = verdictOf(look, findings)
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${titleOf(verdict)}</title>
<link rel="icon" href="data:,">
${raw(`<style>${STYLE}</style>`)}
</head>
<body>
<main id="picture">
${header(look, verdict)}
${findingSection(findings)}
${poolSection(look)}
${backendSection(look)}
${gatewaySection(look)}
</main>
<footer>
<p id="renewal" class="renewal">As of ${clock(look.now)}. Reload the page to renew it.</p>
<p id="spoken" class="unseen" role="status"></p>
<p>A runbook is an entry of docs/runbooks.md. Times are UTC.</p>
</footer>
${raw(`<script>${SCRIPT}</script>`)}
</body>
</html>
`
}

const signs = { good: '', warning: '! ', bad: '✗ ' }
const titleOf = ({ state, says }: Verdict) => `${signs[state]}${says} · ekm-gateway`

function header({ pools, backends, processes, uptime, now }: Look, { state, says }: Verdict): Fragment {
  const parts = [
    count(pools.length, 'pool'),
    count(backends.length, 'backend'),
    count(processes.length, 'process', 'processes'),
    `up for ${duration(uptime)}`,
  ]
  return markup`<header class="verdict ${state}">
<h1>${mark(state)}<span id="verdict">${says}</span></h1>
<p>ekm-gateway · ${parts.join(' · ')} · <time datetime="${new Date(now).toISOString()}">${clock(now)}</time></p>
</header>`
}
