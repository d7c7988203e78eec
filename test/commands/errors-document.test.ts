import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'

it('docs/errors.md explains each code of an operator once', async () => {
  const tables = (await readFile('docs/errors.md', 'utf8')).split('\n\n').filter((table) => table.startsWith('| code '))
  const rows = tables.flatMap((table) => [...table.matchAll(/^\| (`[^|]+)/gm)])
  const codes = rows.flatMap(([, cell = '']) => cell.match(/`[^`]+`/g) ?? [])
  expect(codes.length).toBeGreaterThan(20)
  expect(codes).toEqual([...new Set(codes)])
})
