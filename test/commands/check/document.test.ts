import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { checkIds, checks } from '../../../src/commands/check/catalogue.ts'

const HERE = 'test/commands/check'

describe('the checks of ekm-gateway check', () => {
  it('are those that docs/check.md lists', async () => {
    const page = await readFile('docs/check.md', 'utf8')
    const rows = [...page.matchAll(/^\| `([a-z]+\.[a-z-]+)` +\| (.*?) +\|/gm)]
    expect(Object.fromEntries(rows.map(([, id, title]) => [id, title]))).toEqual(checks)
    expect(rows.map(([, id]) => id)).toEqual(checkIds)
  })

  it('are each seen to fail, or to be left out, by a test', async () => {
    const files = (await readdir(HERE)).filter((name) => name.endsWith('.test.ts'))
    const texts = await Promise.all(files.map((name) => readFile(`${HERE}/${name}`, 'utf8')))
    const text = texts.join('').replaceAll(/\s+/g, ' ')
    const seen = (id: string) => new RegExp(`'${id}', (?:'(?:problem|warning|not checked)'|status)`).test(text)
    // This check lists facts and never reports a problem.
    expect(checkIds.filter((id) => !seen(id))).toEqual(['backend.version'])
  })
})
