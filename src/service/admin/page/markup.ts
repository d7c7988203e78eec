import { html } from 'hono/html'
import { shown } from '../words.ts'

/** Markup in which every text that is put in is harmless. */
export type Fragment = ReturnType<typeof html>

/** Hono's `html`, under a name that no formatter takes for whitespace of its own. */
export const markup = html

export type State = 'good' | 'warning' | 'bad' | 'unknown'

const marks: Readonly<Record<State, string>> = { good: '✓', warning: '!', bad: '✗', unknown: '–' }

/** A state's sign, for eyes: the words beside it say the same. */
export const mark = (state: State): Fragment =>
  markup`<span class="mark ${state}" aria-hidden="true">${marks[state]}</span>`

/** Plain text can be somebody else's. */
const safe = (value: Fragment | string): Fragment | string => (typeof value === 'string' ? shown(value) : value)

/** A state in a word, with its sign. */
export const badge = (state: State, word: string): Fragment =>
  markup`<span class="badge ${state}">${mark(state)}${shown(word)}</span>`

/** Names with what they hold, as a list. */
export const facts = (all: readonly (readonly [string, Fragment | string])[]): Fragment =>
  markup`<dl class="facts">${all.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${safe(value)}</dd></div>`)}</dl>`

/** A table with a caption that is read and not seen. Columns whose name begins with `#` hold numbers. */
export const table = (caption: string, columns: readonly string[], rows: readonly (readonly (Fragment | string)[])[]) =>
  markup`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table class="${columns.length > 3 ? 'wide' : ''}">
<caption class="unseen">${caption}</caption>
<thead><tr>${columns.map((name) => markup`<th scope="col" class="${classOf(name)}">${name.replace('#', '')}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => row(cells, columns))}</tbody></table></div>`

const row = ([first = '', ...cells]: readonly (Fragment | string)[], columns: readonly string[]): Fragment =>
  markup`<tr><th scope="row">${safe(first)}</th>${cells.map(
    (cell, index) => markup`<td class="${classOf(columns[index + 1] ?? '')}">${safe(cell)}</td>`,
  )}</tr>\n`

const classOf = (column: string) => (column.startsWith('#') ? 'number' : '')
