import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'

it('docs/errors.md explains each code of an operator once', async () => {
  const [, section = ''] = (await readFile('docs/errors.md', 'utf8')).split('## Errors of the command line')
  const codes = [...section.matchAll(/^#### `([A-Z0-9_]+)`$/gm)].map(([, code]) => code)
  expect(codes.length).toBeGreaterThan(20)
  expect(codes).toEqual([...new Set(codes)])
})
