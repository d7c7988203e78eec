import type { BackendEvent } from '../../../gateway/backend-events.ts'
import type { BackendLook, Look } from '../look.ts'
import { clock, duration, shown } from '../words.ts'
import { badge, facts, markup, table, type Fragment, type State } from './markup.ts'

export const backendSection = ({ backends, now }: Look): Fragment =>
  markup`<section aria-labelledby="backends"><h2 id="backends">Backends</h2>
${backends.map((backend, index) => card(backend, index, now))}</section>`

function card(backend: BackendLook, index: number, now: number): Fragment {
  const { name, kind, product, running, waiting, connections, connectionsWanted, downSince, events } = backend
  const [state, word] = stateOf(backend)
  const wanted = connectionsWanted === undefined ? '' : ` of ${connectionsWanted}`
  return markup`<article class="card" aria-labelledby="backend-${index}">
<div class="head"><h3 id="backend-${index}">${shown(name)}</h3> ${badge(state, word)} <span class="soft">${kind}${product === '' ? '' : `: ${shown(product)}`}</span></div>
${facts([
  ['breaker', breakerOf(backend)],
  ...(downSince === undefined ? [] : [['down for', `${duration(now - downSince)}`] as const]),
  ['sessions or connections', `${connections}${wanted}`],
  ['calls under way', String(running)],
  ['calls that wait', String(waiting)],
])}
${eventTable(name, events, now)}
</article>
`
}

function stateOf({ up, ready, away, givenUp }: BackendLook): [State, string] {
  if (givenUp) return ['bad', 'refused: not tried again']
  if (away) return ['bad', 'away since the start']
  if (!up) return ['bad', 'down']
  return ready ? ['good', 'answers'] : ['warning', 'in doubt']
}

/** Whether calls are let through, in words. */
function breakerOf({ up, ready }: BackendLook): string {
  if (!up) return 'open: calls fail at once'
  return ready ? 'closed: calls pass' : 'closed; the last probe failed'
}

const states: Readonly<Record<BackendEvent['level'], State>> = { info: 'good', warn: 'warning', error: 'bad' }

function eventTable(name: string, events: readonly BackendEvent[], now: number): Fragment {
  if (events.length === 0) return markup`<p class="soft">Nothing has happened to it since the start.</p>`
  const rows = events.map(({ at, level, event, text, times }) => [
    markup`<time datetime="${new Date(at).toISOString()}">${clock(at, now)}</time> <span class="soft">${duration(now - at)} ago</span>`,
    markup`${badge(states[level], event)}${times > 1 ? ` × ${times}` : ''}`,
    markup`<span class="text">${shown(text)}</span>`,
  ])
  return table(`Last events of the backend ${shown(name)}`, ['last events', 'event', 'what the log says'], rows)
}
