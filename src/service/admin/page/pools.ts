import { inTurns } from '../../../base/turns.ts'
import { count } from '../../../base/words.ts'
import { sum } from '../../../gateway/status.ts'
import type { KeyReport } from '../../../gateway/report.ts'
import { quantile, type Span } from '../history.ts'
import type { Look, PoolLook } from '../look.ts'
import { isFailing } from '../pool-findings.ts'
import { clock, duration, milliseconds, percent, rate, shown } from '../words.ts'
import { latencyPicture } from './latency-picture.ts'
import { badge, facts, markup, table, type Fragment, type State } from './markup.ts'

const MINUTE_MS = 60_000
/** More keys than that are shown when somebody asks for them. */
const OPEN_KEYS = 6
/** Pools that are shown in full: a page of hundreds could not be renewed every few seconds. */
const MAX_CARDS = 20

/** The worst of many pools in full, the others on a line each. */
export async function poolSection({ pools, uptime, now }: Look): Promise<Fragment> {
  const sorted = [...pools].sort(worseFirst)
  const cards = await inTurns(sorted.slice(0, MAX_CARDS), (pool, index) => card(pool, index, uptime, now))
  const others = await inTurns(sorted.slice(MAX_CARDS), (pool) => line(pool, uptime))
  const columns = ['other pools', 'state', '#last call', '#calls', '#failed, 5 min', '#failed, hour', '#p95, 5 min']
  return markup`<section aria-labelledby="pools"><h2 id="pools">Pools</h2>
${cards}${others.length === 0 ? '' : markup`<div class="card">${table('Other pools', columns, others)}</div>`}</section>`
}

function line(pool: PoolLook, uptime: number): (Fragment | string)[] {
  const { name, fiveMinutes, hour } = pool
  return [
    name,
    badge(...stateOf(pool)),
    lastCall(pool, uptime),
    callRate(pool, uptime),
    percent(fiveMinutes.failed, sum(fiveMinutes.durations)),
    percent(hour.failed, sum(hour.durations)),
    milliseconds(quantile(0.95, fiveMinutes.durations)),
  ]
}

const lastCall = ({ sinceCall }: PoolLook, uptime: number) =>
  sinceCall === undefined ? `none in ${duration(uptime)}` : `${duration(sinceCall)} ago`
const callRate = ({ minute }: PoolLook, uptime: number) => rate(minute.calls, Math.min(MINUTE_MS, Math.max(1, uptime)))

function card(pool: PoolLook, index: number, uptime: number, now: number): Fragment {
  const { name, backend, fiveMinutes, hour } = pool
  const [state, word] = stateOf(pool)
  return markup`<article class="card" aria-labelledby="pool-${index}">
<div class="head"><h3 id="pool-${index}">${shown(name)}</h3> ${badge(state, word)} <span class="soft">backend ${shown(backend)}</span></div>
${facts([
  ['last call', lastCall(pool, uptime)],
  ['calls, last minute', callRate(pool, uptime)],
  ['failed, 5 min', percent(fiveMinutes.failed, sum(fiveMinutes.durations))],
  ['failed, hour', percent(hour.failed, sum(hour.durations))],
  ...([0.5, 0.95, 0.99] as const).map((share): [string, string] => [
    `p${share * 100}, 5 min`,
    milliseconds(quantile(share, fiveMinutes.durations)),
  ]),
])}
<div class="pair">${latencyPicture(pool.slots, `Latency of ${shown(name)}`)}
<div>${failures(name, fiveMinutes, hour)}${clients(pool)}</div></div>
${keys(pool, index, now)}
</article>
`
}

/** In the order of the configuration, but for those with trouble. */
const worseFirst = (one: PoolLook, other: PoolLook) =>
  Number(stateOf(other)[0] === 'bad') - Number(stateOf(one)[0] === 'bad')

function stateOf(pool: PoolLook): [State, string] {
  if (!pool.ready) return ['bad', 'cannot be served']
  if (isFailing(pool.minute)) return ['bad', 'served, and calls fail']
  if (pool.sinceCall === undefined) return ['unknown', 'ready, not called yet']
  return ['good', 'served']
}

function failures(name: string, fiveMinutes: Span, hour: Span): Fragment | string {
  if (hour.reasons.length === 0) return markup`<p class="soft">Nothing was refused or failed in the last hour.</p>`
  const recent = new Map(fiveMinutes.reasons)
  const rows = hour.reasons.map(([reason, number]) => [reason, String(recent.get(reason) ?? 0), String(number)])
  return markup`<h4>Refused or failed, by reason</h4>${table(
    `What was refused or failed in the pool ${shown(name)}`,
    ['reason', '#5 min', '#hour'],
    rows,
  )}`
}

function keys({ name, listed, keys: all }: PoolLook, index: number, now: number): Fragment {
  if (listed === 0) return markup`<p class="soft">It has every key of its backend.</p>`
  const more = listed > all.length ? markup`<p class="soft">And ${listed - all.length} more.</p>` : ''
  const rows = all.map((key) => [
    shown(key.name),
    key.kind ?? 'not known yet',
    standing(key),
    markup`${ways(key, now)}`,
  ])
  const isBad = all.some(({ usable }) => usable === false)
  return markup`<details id="keys-${index}"${isBad || listed <= OPEN_KEYS ? markup` open` : ''}><summary>${count(listed, 'key')}</summary>
${table(`Keys of the pool ${shown(name)}`, ['key', 'type', 'state', 'how it is done, since when'], rows)}${more}</details>`
}

const standbys = {
  same: ['good', 'standby proven'],
  unproven: ['warning', 'standby not proven'],
  different: ['bad', 'standby differs'],
} as const

function standing({ usable, problem, standby }: KeyReport): Fragment {
  const state =
    usable === undefined
      ? badge('unknown', 'not looked at')
      : usable
        ? badge('good', 'usable')
        : badge('bad', `not usable${problem === undefined ? '' : `: ${problem}`}`)
  if (standby === undefined) return state
  const [proven, word] = standbys[standby]
  return markup`${state} ${badge(proven, word)}`
}

function ways({ ways: all }: KeyReport, now: number): (Fragment | string)[] {
  if (all.length === 0) return ['–']
  return all.map(({ algorithm, way, undecided, exported, since }) => {
    const how = way ?? (undecided ? 'could not be found out' : 'no way gives right results: not served')
    const note = exported ? ', with the key in the gateway’s memory' : ''
    return markup`<div><b>${algorithm}</b> ${shown(how)}${note} <span class="soft">since ${clock(since, now)}</span></div>`
  })
}

function clients({ name, clients: all }: PoolLook): Fragment {
  if (all.length === 0) return markup`<p class="soft">No client has shown its certificate yet.</p>`
  return table(
    `Clients of the pool ${shown(name)}`,
    ['client that called', '#certificate ends in'],
    all.map(({ client, days }) => [shown(client), days < 0 ? 'expired' : `${Math.floor(days)} days`]),
  )
}
