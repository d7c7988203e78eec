import { sum } from '../../../gateway/status.ts'
import { quantile, type Span } from '../history.ts'
import { milliseconds, percent } from '../words.ts'
import { markup, type Fragment } from './markup.ts'

const WIDTH = 520
const HEIGHT = 160
const LEFT = 58
const RIGHT = 8
const TOP = 20
const BOTTOM = 124
/** Below the curves: how much was asked, and what failed. */
const FOOT = 138
/** Seconds: the least and the most that the axis shows. */
const LEAST = 0.0005
const MOST = 2
const AZURE_WAITS = 0.25
const TICKS = [0.001, 0.01, 0.1, 1] as const
const curves = [
  ['p50', 0.5],
  ['p95', 0.95],
  ['p99', 0.99],
] as const

const y = (seconds: number) => {
  const within = Math.min(MOST, Math.max(LEAST, seconds))
  return BOTTOM - (Math.log(within / LEAST) / Math.log(MOST / LEAST)) * (BOTTOM - TOP)
}
const at = (value: number) => String(Math.round(value * 10) / 10)

/** The last hour of a pool on one strip: three quantiles against what Azure waits, and below them the half minutes in which calls failed. */
export function latencyPicture(slots: readonly Span[], title: string): Fragment {
  const step = (WIDTH - LEFT - RIGHT) / slots.length
  const x = (slot: number) => LEFT + slot * step
  return markup`<figure><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}, ${inWords(slots)}">
${TICKS.map((tick) => markup`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(tick))}" y2="${at(y(tick))}"/><text x="${LEFT - 6}" y="${at(y(tick) + 4)}" text-anchor="end">${milliseconds(tick)}</text>`)}
<line class="limit" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y(AZURE_WAITS))}" y2="${at(y(AZURE_WAITS))}"/>
<text class="limit-label" x="${LEFT + 6}" y="${at(y(AZURE_WAITS) - 4)}">250 ms: Azure waits no longer</text>
${curves.map(([name, share]) => curve(name, share, slots, x, step))}
${failedSlots(slots, x, step)}${legend()}
${['60 min ago', '30', 'now'].map((label, index) => markup`<text x="${at(x((slots.length / 2) * index))}" y="${HEIGHT - 5}" text-anchor="${['start', 'middle', 'end'][index]}">${label}</text>`)}
</svg><figcaption>Wraps and unwraps. The strip at the foot is high where some failed.</figcaption></figure>`
}

/** One stroke for each run of half minutes in which keys were used. */
function curve(
  name: string,
  share: number,
  slots: readonly Span[],
  x: (slot: number) => number,
  step: number,
): Fragment | string {
  let path = ''
  let isOpen = false
  for (const [slot, { durations }] of slots.entries()) {
    const value = quantile(share, durations)
    if (value !== undefined) path += `${isOpen ? 'V' : `M${at(x(slot))} `}${at(y(value))}H${at(x(slot) + step)}`
    isOpen = value !== undefined
  }
  return path === '' ? '' : markup`<path class="${name}" d="${path}"/>`
}

/** Each curve's stroke with its name. */
const legend = (): Fragment[] =>
  curves.map(([name], index) => {
    const left = WIDTH - RIGHT - 62 * (curves.length - index)
    return markup`<path class="${name}" d="M${left} 8h22"/><text x="${left + 27}" y="12">${name}</text>`
  })

/** A strip that is thin where keys were used, and high where that failed. */
function failedSlots(slots: readonly Span[], x: (slot: number) => number, step: number): Fragment[] {
  const runs: { kind: 'used' | 'failed'; from: number; to: number }[] = []
  for (const [slot, { durations, failed }] of slots.entries()) {
    if (sum(durations) === 0) continue
    const kind = failed > 0 ? 'failed' : 'used'
    const run = runs.at(-1)
    if (run?.kind === kind && run.to === slot) run.to = slot + 1
    else runs.push({ kind, from: slot, to: slot + 1 })
  }
  return runs.map(({ kind, from, to }) => {
    const height = kind === 'failed' ? 9 : 3
    const width = at((to - from) * step)
    return markup`<rect class="${kind}" x="${at(x(from))}" y="${FOOT - height}" width="${width}" height="${height}"/>`
  })
}

function inWords(slots: readonly Span[]): string {
  const durations = slots.reduce<number[]>((total, slot) => slot.durations.map((one, at) => one + (total[at] ?? 0)), [])
  const uses = sum(durations)
  if (uses === 0) return 'last hour: no key was used'
  const quantiles = curves.map(([name, share]) => `${name} ${milliseconds(quantile(share, durations))}`)
  const failed = percent(sum(slots.map((slot) => slot.failed)), uses)
  return `last hour: ${quantiles.join(', ')}, against the 250 ms that Azure waits; ${failed} of ${uses} uses failed`
}
