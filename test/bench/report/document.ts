import { readFile, writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { chartOf } from './chart.ts'
import { missedSection } from './missed-section.ts'
import { exampleSection, processorTimeSection } from './processor-time-section.ts'
import { mergeRuns, withLatestTargets, type Run } from './results.ts'
import { resultsSection } from './results-section.ts'

type Section = (runs: readonly Run[]) => string

/** The pages of docs/ with parts that are made from results, by the names that stand in the marks of the parts. */
export const pages = {
  'performance.md': { missed: missedSection, results: resultsSection },
  'fleet.md': { 'processor time': processorTimeSection, example: exampleSection },
} as const satisfies Record<string, Record<string, Section>>

const docs = (name: string) => new URL(`../../../../docs/${name}`, import.meta.url)
const JSON_FILE = docs('performance.json')
const CHART_FILE = docs('performance.svg')

/** Brings the data, the chart and every page up to date; see {@link mergeRuns} for what stays. */
export async function writeDocs(latest: Run, order: readonly string[]): Promise<void> {
  const before = JSON.parse(await readFile(JSON_FILE, 'utf8').catch(() => '[]')) as Run[]
  const runs = mergeRuns(before, latest, order)
  await write(JSON_FILE, JSON.stringify(runs))
  await renderDocs()
}

/** Makes the chart and the parts of every page from the stored results. */
export async function renderDocs(): Promise<void> {
  const runs = JSON.parse(await readFile(JSON_FILE, 'utf8')) as Run[]
  await writeFile(CHART_FILE, chartOf(withLatestTargets(runs)))
  for (const [name, sections] of Object.entries(pages)) {
    const file = docs(name)
    await write(file, pageOf(await readFile(file, 'utf8'), sections, runs))
  }
}

/**
 * @returns `page` with its `sections` made from `stored`, as Markdown that Prettier has not seen
 * @throws Error if `page` has no place for one of them
 */
export function pageOf(page: string, sections: Readonly<Record<string, Section>>, stored: readonly Run[]): string {
  const runs = withLatestTargets(stored)
  return Object.entries(sections).reduce((text, [name, section]) => {
    const begin = `<!-- npm run bench -- --write-docs, ${name}: begin -->`
    const end = `<!-- npm run bench -- --write-docs, ${name}: end -->`
    const [head, rest] = text.split(begin)
    const tail = rest?.split(end)[1]
    if (head === undefined || tail === undefined) throw new Error(`the page has no ${begin} … ${end}`)
    return `${head}${begin}\n\n${section(runs)}\n\n${end}${tail}`
  }, page)
}

async function write(file: URL, text: string): Promise<void> {
  const config = await resolveConfig(file)
  await writeFile(file, await format(text, { ...config, filepath: file.pathname }))
}
