import { readFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { expect, it } from 'vitest'
import { pageOf, pages } from './report/document.ts'
import type { Run } from './report/results.ts'

it.each(Object.entries(pages))('docs/%s has what docs/performance.json says', async (name, sections) => {
  const file = `docs/${name}`
  const page = await readFile(file, 'utf8')
  const runs = JSON.parse(await readFile('docs/performance.json', 'utf8')) as Run[]
  const wanted = await format(pageOf(page, sections, runs), { ...(await resolveConfig(file)), filepath: file })
  expect(page).toBe(wanted)
})
