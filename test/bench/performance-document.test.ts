import { readFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { expect, it } from 'vitest'
import { pageOf } from './report/document.ts'
import type { Run } from './report/results.ts'

it('docs/performance.md has the tables of docs/performance.json', async () => {
  const file = 'docs/performance.md'
  const page = await readFile(file, 'utf8')
  const runs = JSON.parse(await readFile('docs/performance.json', 'utf8')) as Run[]
  const wanted = await format(pageOf(page, runs), { ...(await resolveConfig(file)), filepath: file })
  expect(page).toBe(wanted)
})
