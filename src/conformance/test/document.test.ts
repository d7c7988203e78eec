import { readFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { expect, it } from 'vitest'
import { conformanceDocument } from '../src/document.ts'

it('docs/conformance.md is what npm run docs:conformance writes', async () => {
  const file = 'docs/conformance.md'
  const wanted = await format(conformanceDocument(), { ...(await resolveConfig(file)), filepath: file })
  expect(await readFile(file, 'utf8'), 'run npm run docs:conformance').toBe(wanted)
})
