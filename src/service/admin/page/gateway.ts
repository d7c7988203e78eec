import type { ProcessReport } from '../../../gateway/report.ts'
import type { Look } from '../look.ts'
import { clock, duration, shown } from '../words.ts'
import { badge, facts, markup, table, type Fragment } from './markup.ts'

const WARNED_DAYS = 30

export function gatewaySection(look: Look): Fragment {
  const { version, processes, workers, logLinesLost } = look
  const { node = '', openssl = '' } = process.versions
  return markup`<section aria-labelledby="gateway"><h2 id="gateway">Gateway</h2>
<article class="card">
${facts([
  ['ekm-gateway', version],
  ['Node.js', node],
  ['OpenSSL', openssl],
  ['processes', `${processes.length} of ${workers}`],
  ['log lines lost', String(logLinesLost)],
  ...configuration(look),
])}
${table(
  'Processes that serve',
  ['process', '#up for', '#memory', '#requests', '#connections', '#of strangers'],
  processes.map((one) => processRow(one, look.now)),
)}
</article>
<article class="card">
<h3>Certificates</h3>
${certificates(look)}
</article></section>`
}

function configuration({ configuration: { since, lastReload }, now }: Look): [string, Fragment | string][] {
  const age: [string, string] = ['configuration', `${duration(now - since)} old`]
  if (lastReload === undefined) return [age, ['last reload', 'none since the start']]
  const { at, problem } = lastReload
  const result = problem === undefined ? badge('good', 'succeeded') : badge('bad', 'failed')
  return [age, ['last reload', markup`${result} <span class="soft">${clock(at, now)}</span>`]]
}

const MEBIBYTE = 1024 * 1024

function processRow({ pid, since, memoryBytes, requests, connections }: ProcessReport, now: number): string[] {
  const { allowed, verified, unverified } = connections
  return [
    `pid ${pid}`,
    duration(now - since),
    `${Math.round(memoryBytes / MEBIBYTE)} MiB`,
    String(requests),
    String(allowed),
    String(verified + unverified),
  ]
}

function certificates({ certificates: all, lists }: Look): Fragment {
  const left = (days: number) =>
    days < 0
      ? badge('bad', 'expired')
      : badge(
          days < WARNED_DAYS ? 'warning' : 'good',
          days < 2 ? `${Math.floor(days * 24)} hours` : `${Math.floor(days)} days`,
        )
  const rows = [
    ...all.map(({ role, subject, days }) => [shown(subject), role, left(days)]),
    ...lists.map(({ pool, issuer, days, share }) => [
      shown(issuer),
      `revocation list, pool ${shown(pool)}`,
      share < 0.25
        ? badge(days < 0 ? 'bad' : 'warning', duration(days * 86_400_000))
        : badge('good', duration(days * 86_400_000)),
    ]),
  ]
  if (rows.length === 0) return markup`<p class="soft">None.</p>`
  return table('Certificates and revocation lists of the configuration', ['name', 'what it is for', 'time left'], rows)
}
