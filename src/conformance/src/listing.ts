import { needs, type Case } from './case.ts'
import { catalogue, sections } from './catalogue.ts'
import type { Style } from './style.ts'

export const needsOf = ({ needs: wanted = [] }: Case): string[] => wanted.map((need) => needs[need])

/** The catalogue for people. */
export function listAsText(style: Style): string {
  const lines: string[] = []
  for (const { title, cases } of sections) {
    lines.push(style.bold(title))
    for (const entry of cases) {
      const wanted = needsOf(entry)
      lines.push(`  ${entry.id.padEnd(28)} ${entry.severity.padEnd(6)} ${entry.title}`)
      const more = [`${entry.clause}`, ...(wanted.length > 0 ? [`needs ${wanted.join(' and ')}`] : [])]
      lines.push(style.dim(`  ${' '.repeat(35)} ${more.join('; ')}`))
    }
    lines.push('')
  }
  const must = catalogue.filter(({ severity }) => severity === 'must').length
  lines.push(`${catalogue.length} cases: ${must} must, ${catalogue.length - must} should`)
  return lines.join('\n') + '\n'
}

/** The catalogue for programs. */
export const listAsJson = (): string =>
  JSON.stringify(
    sections.flatMap(({ title: section, cases }) =>
      cases.map((entry) => {
        const { id, clause, severity, title } = entry
        return { id, section, clause, severity, title, needs: needsOf(entry) }
      }),
    ),
    undefined,
    2,
  ) + '\n'
