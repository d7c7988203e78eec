import { BUDGET_MS, type Measurements } from '../measurements.ts'
import { escapeMarkup } from './markup.ts'

const WIDTH = 860
const HEIGHT = 340
const LEFT = 56
const RIGHT = 20
const TOP = 16
const BOTTOM = 44
const COLOURS = ['#2563eb', '#d97706', '#059669', '#9333ea', '#dc2626', '#0891b2']
const MOST_POINTS = 400

/** The share of the calls that were answered within a time: one line for each series, with a logarithmic time axis. */
export function latencyPicture(measurements: Measurements): string {
  const series = measurements.all.filter(([, samples]) => samples.length > 0)
  if (series.length === 0) return ''
  const values = series.flatMap(([, samples]) => [...samples])
  const shortest = values.reduce((a, b) => Math.min(a, b))
  const longest = values.reduce((a, b) => Math.max(a, b))
  const least = 10 ** Math.floor(Math.log10(Math.max(0.05, shortest)))
  const most = 10 ** Math.ceil(Math.log10(Math.max(BUDGET_MS + 1, longest)))
  const x = (ms: number) => {
    const share = Math.log10(Math.max(ms, least) / least) / Math.log10(most / least)
    return LEFT + share * (WIDTH - LEFT - RIGHT)
  }
  const y = (share: number) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
  const at = (value: number) => value.toFixed(1)

  const parts: string[] = []
  for (let decade = least; decade <= most; decade *= 10) {
    const label = `${Number(decade.toPrecision(1))} ms`
    parts.push(`<line class="grid" x1="${at(x(decade))}" y1="${TOP}" x2="${at(x(decade))}" y2="${HEIGHT - BOTTOM}"/>`)
    parts.push(`<text x="${at(x(decade))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label}</text>`)
  }
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(`<line class="grid" x1="${LEFT}" y1="${at(y(share))}" x2="${WIDTH - RIGHT}" y2="${at(y(share))}"/>`)
    parts.push(`<text x="${LEFT - 8}" y="${at(y(share) + 4)}" text-anchor="end">${share * 100} %</text>`)
  }
  parts.push(
    `<line class="budget" x1="${at(x(BUDGET_MS))}" y1="${TOP}" x2="${at(x(BUDGET_MS))}" y2="${HEIGHT - BOTTOM}"/>`,
  )
  parts.push(
    `<text class="budget-label" x="${at(x(BUDGET_MS) - 6)}" y="${TOP + 12}" text-anchor="end">${BUDGET_MS} ms: Azure gives up</text>`,
  )
  for (const [index, [name, samples]] of series.entries()) {
    const colour = COLOURS[index % COLOURS.length] ?? ''
    parts.push(`<path d="${stairs(samples, x, y)}" fill="none" stroke="${colour}" stroke-width="2"/>`)
    const legend = TOP + 34 + index * 18
    parts.push(`<rect x="${LEFT + 14}" y="${legend - 9}" width="12" height="4" fill="${colour}"/>`)
    parts.push(`<text x="${LEFT + 32}" y="${legend - 3}">${escapeMarkup(name)}</text>`)
  }
  parts.push(`<text x="${(WIDTH + LEFT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">answered within</text>`)
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Share of calls answered within a time">${parts.join('')}</svg>`
}

function stairs(samples: readonly number[], x: (ms: number) => number, y: (share: number) => number): string {
  const sorted = [...samples].sort((a, b) => a - b)
  const step = Math.max(1, Math.floor(sorted.length / MOST_POINTS))
  let path = `M${x(sorted[0] ?? 0).toFixed(1)} ${y(0).toFixed(1)}`
  for (const [index, ms] of sorted.entries()) {
    if (index % step !== 0 && index !== sorted.length - 1) continue
    path += `H${x(ms).toFixed(1)}V${y((index + 1) / sorted.length).toFixed(1)}`
  }
  return path
}
