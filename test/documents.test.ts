import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = new URL('..', import.meta.url).pathname
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')

describe('docs/architecture.md', () => {
  it('names files that are there', () => {
    const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map(([, target = '']) => target)
    expect(links.length).toBeGreaterThan(40)
    expect(links.filter((target) => !existsSync(join(root, 'docs', target)))).toEqual([])
  })

  it('calls each file by its path', () => {
    const named = [...page.matchAll(/\[([\w./-]+\.(?:ts|json))\]\(\.\.\/([^)]+)\)/g)]
    expect(named.filter(([, name, target]) => name !== target).map(([link]) => link)).toEqual([])
  })

  it('draws the floors in their order', () => {
    const floors = JSON.parse(readFileSync(join(root, '.config/floors.json'), 'utf8')) as string[]
    const [, picture = ''] = /```\n([^`]+)```/.exec(page) ?? []
    const drawn = picture
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[0])
    expect(drawn).toEqual(['cli.ts', ...floors.toReversed()])
  })
})

describe('docs/adr/README.md', () => {
  it('lists every record', () => {
    const index = readFileSync(join(root, 'docs/adr/README.md'), 'utf8')
    const records = readdirSync(join(root, 'docs/adr')).filter((name) => /^\d{4}-/.test(name))
    expect([...index.matchAll(/\]\((\d{4}-[^)]+)\)/g)].map(([, name]) => name)).toEqual(records.sort())
  })
})
