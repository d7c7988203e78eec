import { escapeMarkup } from '../../../src/conformance/src/reporters/markup.ts'
import { passes, type Check } from '../figure.ts'
import { formatMeasured, formatTarget, type Run } from './results.ts'

const WIDTH = 1080
const LEFT = 510
const RIGHT = 190
const TOP = 56
const BAR = 12
const GAP = 16
/** The end of the axis, as a share of the target. Longer bars are cut. */
const MOST = 1.6
const COLOURS = ['#2563eb', '#0891b2']
const FAILED = '#dc2626'

/**
 * One bar for each claim and Node.js version: the used share of its target. One line marks the target for all. A bar
 * that ends before the line meets its target.
 */
export function chartOf(runs: readonly Run[]): string {
  const rows = rowsOf(runs)
  const height = TOP + rows.reduce((sum, { bars }) => sum + bars.length * BAR + GAP, 0) + 30
  const x = (share: number) => LEFT + (Math.min(share, MOST) / MOST) * (WIDTH - LEFT - RIGHT)
  const at = (value: number) => value.toFixed(1)
  const parts = [`<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`]
  for (const [index, { machine }] of runs.entries()) {
    const left = LEFT + index * 150
    parts.push(`<rect x="${left}" y="14" width="12" height="10" fill="${COLOURS[index % COLOURS.length] ?? ''}"/>`)
    parts.push(`<text x="${left + 18}" y="23">Node.js ${escapeMarkup(machine.serverNode)}</text>`)
  }
  let y = TOP
  for (const { label, target, bars } of rows) {
    const middle = y + (bars.length * BAR) / 2
    parts.push(`<text x="${LEFT - 12}" y="${at(middle + 1)}" text-anchor="end">${escapeMarkup(label)}</text>`)
    parts.push(
      `<text class="dim" x="${LEFT - 12}" y="${at(middle + 13)}" text-anchor="end">${escapeMarkup(target)}</text>`,
    )
    for (const { share, text, colour, kept } of bars) {
      const length = Math.max(1.5, x(share) - LEFT)
      parts.push(
        `<rect x="${LEFT}" y="${y}" width="${at(length)}" height="${BAR - 2}" fill="${kept ? colour : FAILED}"/>`,
      )
      parts.push(`<rect x="${LEFT}" y="${y}" width="5" height="${BAR - 2}" fill="${colour}"/>`)
      parts.push(
        `<text class="value" x="${at(Math.max(LEFT + length, x(1)) + 6)}" y="${y + 9}">${escapeMarkup(text)}</text>`,
      )
      y += BAR
    }
    y += GAP
  }
  parts.push(`<line x1="${at(x(1))}" y1="${TOP - 10}" x2="${at(x(1))}" y2="${y}" stroke="#111827" stroke-width="1.5"/>`)
  parts.push(`<text x="${at(x(1))}" y="${TOP - 16}" text-anchor="middle">target</text>`)
  parts.push(
    `<text class="dim" x="${LEFT}" y="${y + 14}">share of what the target allows; shorter is better; what is red misses it</text>`,
  )
  const style =
    'text{font:12px system-ui,sans-serif;fill:#111827}.dim{fill:#6b7280;font-size:10px}.value{font-size:10px}'
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" ` +
    `aria-label="How much of each target was used"><style>${style}</style>${parts.join('\n')}</svg>\n`
  )
}

interface Row {
  readonly label: string
  readonly target: string
  readonly bars: readonly { share: number; text: string; colour: string; kept: boolean }[]
}

/** Checks that count unwanted events have no share to show. */
function rowsOf(runs: readonly Run[]): Row[] {
  const rows = new Map<string, { target: string; bars: Row['bars'][number][] }>()
  for (const [index, run] of runs.entries()) {
    for (const { name, outcome } of run.figures) {
      for (const check of outcome?.checks ?? []) {
        if (check.target === 0) continue
        const label = `${name}: ${check.what}`
        const row = rows.get(label) ?? { target: formatTarget(check), bars: [] }
        const colour = COLOURS[index % COLOURS.length] ?? ''
        row.bars.push({ share: shareOf(check), text: formatMeasured(check), colour, kept: passes(check) })
        rows.set(label, row)
      }
    }
  }
  return [...rows].map(([label, row]) => ({ label, ...row }))
}

/** A share up to 1 meets the target, in either direction. */
const shareOf = ({ relation, target, measured: { median } }: Check): number =>
  relation === 'at least' ? target / median : Math.max(0, median) / target
