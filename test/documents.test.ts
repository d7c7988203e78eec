import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { version } from '../src/base/version.ts'
import { jsonSchema } from '../src/commands/config/schema.ts'
import { program } from '../src/commands/program.ts'
import { Metrics } from '../src/telemetry/metrics.ts'
import { ServiceEvents, ServiceMetrics } from '../src/telemetry/service-metrics.ts'
import type { JsonSchema } from '../src/commands/explain/json-schema.ts'

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

const read = (file: string) => readFileSync(join(root, file), 'utf8')
const filesOf = (...patterns: string[]) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...patterns], { cwd: root })
    .toString()
    .trim()
    .split('\n')
    .filter((file) => existsSync(join(root, file)))

/** @returns the lines of a Markdown text that are not in a code block */
const proseOf = (text: string) => text.replaceAll(/^```[^]*?^```$/gm, '').split('\n')

describe('every document', () => {
  const documents = filesOf('*.md').filter((file) => file !== 'docs/adr/template.md')

  it('has tables of at most 160 characters, and other lines of at most 120, unless a word cannot be broken', () => {
    const wide = documents.flatMap((file) =>
      proseOf(read(file)).filter((line) => {
        if (/^\s*\|/.test(line)) return line.length > 160
        return line.length > 120 && !/^\s*(?:[-*] |\d+\. )?(?:`[^`]+`|\S+)$/.test(line)
      }),
    )
    expect(wide).toEqual([])
  })

  it('has links that lead somewhere', () => {
    const dead = documents.flatMap((file) =>
      [
        ...proseOf(read(file))
          .join('\n')
          .matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g),
      ]
        .filter(([, target = '', anchor]) => {
          const path = target === '' ? file : join(dirname(file), target)
          if (!existsSync(join(root, path))) return true
          return anchor !== undefined && path.endsWith('.md') && !anchorsOf(read(path)).includes(anchor)
        })
        .map(([link]) => `${file}: ${link}`),
    )
    expect(dead).toEqual([])
  })
})

/** @returns the anchors that GitHub makes of a document's headings */
function anchorsOf(text: string): string[] {
  const headings = proseOf(text).flatMap((line) => /^#+ (.+)/.exec(line)?.[1] ?? [])
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('test/README.md', () => {
  const text = read('test/README.md')

  it('tells of every folder of tests, and of no other', () => {
    const folders = readdirSync(join(root, 'test'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && readdirSync(join(root, 'test', entry.name)).length > 0)
      .map(({ name }) => name)
    const [, shown = ''] = /^## What each folder shows$([^]*?)^## /m.exec(text) ?? []
    const told = [...shown.matchAll(/`([a-z][\w/-]*)`/g)].map(([, name = '']) => name)
    expect(folders.filter((name) => !told.includes(name))).toEqual([])
    const isFolder = (name: string) => existsSync(join(root, 'test', name)) || existsSync(join(root, name))
    expect(told.filter((name) => !isFolder(name))).toEqual([])
  })

  it('tells of every command that runs tests, and of no other', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const runsTests = (name: string) => /^test\b|^(?:bench|soak|fuzz)$/.test(name)
    const told = new Set([...text.matchAll(/`npm (?:run )?([\w:-]+)/g)].map(([, name = '']) => name))
    expect([...told].filter((name) => name !== 'build').sort()).toEqual(Object.keys(scripts).filter(runsTests).sort())
  })

  it('names files that are there', () => {
    const named = [...text.matchAll(/`((?:test|src|adapters)\/[\w./-]+)`/g)].map(([, path = '']) => path)
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })
})

/** @returns the entries of a reference page by name, each with its whole text on one line: - `NAME` (…): … */
function entriesOf(file: string): Map<string, string> {
  const entries = [...read(file).matchAll(/^- `([^`]+)`[^]*?(?=\n(?:- |\n|#)|$(?![^]))/gm)]
  return new Map(entries.map(([text, name = '']) => [name, text.replaceAll(/\s+/g, ' ')]))
}

describe('docs/README.md', () => {
  it('leads to every page', () => {
    const index = read('docs/README.md')
    const pages = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md') && name !== 'README.md')
    expect(pages.filter((name) => !index.includes(`](${name}`))).toEqual([])
  })
})

describe('docs/log-events.md', () => {
  const LEVEL = '(error|warn|info|debug|always)'
  const events: { name: string; level: string; fields: string[] }[] = []
  const undecided: string[] = []
  for (const file of filesOf('src/*.ts', 'adapters/*.ts').filter((file) => !/\/(?:test|conformance)\//.test(file))) {
    const text = read(file)
    const calls = [
      ...text.matchAll(new RegExp(`[lL]og\\??\\.${LEVEL}\\(\\s*([^,()]+)(?:,\\s*\\{([^{}]*)\\})?`, 'g')),
      ...text.matchAll(/[rR]eport\(\s*([^,]*?'(?:error|warn|info)'[^,]*),\s*([^,()]+)(?:,\s*\{([^{}]*)\})?/g),
    ]
    for (const [, level = '', event = '', members = ''] of calls) {
      const name = /^'([a-z_]+)'$/.exec(event.trim())?.[1]
      if (name === undefined) undecided.push(`${file}: ${event}`)
      else {
        const fields = members.split(',').map((member) => /^\s*(\w+)\s*(?::|$)/.exec(member)?.[1] ?? '')
        events.push({ name, level, fields: fields.filter((field) => field !== '') })
      }
    }
  }
  const entries = entriesOf('docs/log-events.md')
  /** Events whose names are passed to a helper, or appear in a line that is made without the log. */
  const handed = {
    'src/gateway/pools.ts': ['key_unusable', 'standby_unproven', 'standby_differs'],
    'adapters/pkcs11/keys/key-ring.ts': ['hsm_key_size_unknown', 'hsm_key_exposed'],
    'src/telemetry/log.ts': ['log_lines_dropped'],
  }

  it('has every event of the code, and no other', () => {
    expect(events.length).toBeGreaterThan(45)
    for (const [file, names] of Object.entries(handed))
      for (const name of names) expect(read(file)).toContain(`'${name}'`)
    const known = new Set([...events.map(({ name }) => name), ...Object.values(handed).flat()])
    expect([...entries.keys()].sort()).toEqual([...known].sort())
  })

  it('misses no event whose name is made elsewhere', () => {
    const helpers = ['src/gateway/pools.ts: failed', 'src/gateway/pools.ts: refuted']
    expect(undecided.sort()).toEqual(['adapters/pkcs11/keys/key-ring.ts: event', ...helpers])
  })

  it('gives the level and the fields that the code writes, and says what to do', () => {
    const wrong = events.flatMap(({ name, level, fields }) => {
      const entry = entries.get(name) ?? ''
      const levels = level === 'always' ? ['info'] : [...level.matchAll(/error|warn|info/g)].map(([word]) => word)
      const absent = [...levels, ...fields].filter((word) => !new RegExp(`\\b${word}\\b`).test(entry))
      return absent.length === 0 && entry.includes('To do: ') ? [] : [`${name}: ${absent.join()}`]
    })
    expect(wrong).toEqual([])
  })
})

describe('docs/metrics.md', () => {
  it('has every metric with its type and its labels, and no other', async () => {
    const metrics = new Metrics(
      () => ({
        backends: [{ name: 'b', up: true, running: 0, waiting: 0, connections: 0, connectionsWanted: 0 }],
        pools: [{ name: 'p', ready: true }],
        keys: [{ pool: 'p', listed: 1, usable: 1, unproven: 0, different: 0 }],
        clients: [{ pool: 'p', client: 'c', days: 1 }],
        connections: { allowed: 0, verified: 0, unverified: 0 },
        logLinesLost: 0,
      }),
      { operations: [], statuses: [], refusals: [], shedReasons: [], rejections: [] },
    )
    metrics.follow({ pools: ['p'], backends: ['b'] })
    metrics.request({ pool: 'p', operation: 'info', algorithm: 'A256KW', status: 200 }, 1)
    metrics.request({ pool: 'p', operation: 'info', status: 400, reason: 'REQUEST_INVALID' }, 1)
    metrics.called('b', 'wrap', 'OK', 1)
    metrics.rejected('pool', 'p', 'rate')
    metrics.shed('silent')
    const dates = {
      certificateDaysLeft: () => [{ role: 'server', subject: 's', days: 1 }],
      listDaysLeft: () => [{ pool: 'p', issuer: 'i', days: 1, share: 1 }],
      listGaps: () => [{ pool: 'p', gaps: [] }],
      logLinesLost: () => 0,
    }
    const service = new ServiceMetrics('1', dates, new ServiceEvents())
    const text = await service.text([await metrics.snapshot()])
    const found = [...text.matchAll(/^# TYPE (ekm_\w+) (\w+)\n.*?(?:\{(.*)\})? /gm)].map(
      ([, name, type, labels = '']) => {
        const names = [...labels.matchAll(/(\w+)="/g)]
          .map(([, label]) => `\`${label}\``)
          .filter((label) => label !== '`le`')
        return [name, names.length === 0 ? `(${type})` : `(${type}; ${names.join(', ')})`]
      },
    )
    const page = [...entriesOf('docs/metrics.md')].filter(([name]) => name.startsWith('ekm_'))
    const documented = page.map(([name, entry]) => [name, /\(.*?\)/.exec(entry)?.[0]])
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(found))
  })
})

describe('docs/configuration.md', () => {
  /** Each setting that has a value, by its path. A section of settings has none. */
  function settingsOf(schema: JsonSchema, path = ''): string[] {
    const { properties = {}, additionalProperties, anyOf, oneOf, items } = schema
    const entries = Object.entries(properties).flatMap(([name, one]) =>
      settingsOf(one, path ? `${path}.${name}` : name),
    )
    const more = typeof additionalProperties === 'object' ? settingsOf(additionalProperties, `${path}.*`) : []
    const either = (anyOf ?? oneOf ?? []).flatMap((one) => settingsOf(one, path))
    const list = items === undefined ? [] : settingsOf(items, `${path}[]`)
    const inner = [...entries, ...more, ...either, ...list]
    return inner.length === 0 ? [path] : [...new Set([path, ...inner])]
  }

  it('has every setting, and no other', () => {
    const settings = settingsOf(jsonSchema()).slice(1)
    const documented = [...entriesOf('docs/configuration.md').keys()]
      .filter((name) => /^(?:listen|workers|reload|limits|info|admin|log|backends|pools)\b/.test(name))
      .map((name) => name.replace('.NAME', '.*').replace('.ID', '.*'))
    expect(documented.filter((name) => !settings.includes(name) && !settings.includes(`${name}[]`))).toEqual([])
    // One entry may describe all members of a setting, but not a whole section.
    const sections = ['listen', 'listen.tls', 'limits', 'admin', 'log', 'reload', 'backends', 'pools']
    const whole = documented.filter((name) => !sections.includes(name))
    const isIn = (setting: string, section: string) =>
      setting.startsWith(section) && /^[.[]/.test(setting.slice(section.length))
    const told = (setting: string) => whole.some((name) => name === setting || isIn(setting, name))
    const leaves = settings.filter((one) => !settings.some((other) => isIn(other, one)))
    expect(leaves.length).toBeGreaterThan(60)
    expect(leaves.filter((setting) => !told(setting))).toEqual([])
  })
})

describe('docs/commands.md', () => {
  it('has every command, and no other', async () => {
    const { commands } = await program()
    const names = commands.flatMap((one) =>
      one.commands.length === 0 ? [one.name()] : one.commands.map((inner) => `${one.name()} ${inner.name()}`),
    )
    const [list = ''] = read('docs/commands.md').match(/^- [^]*?(?=\n\n)/m) ?? []
    const usages = [...list.matchAll(/`((?:[a-z]+ )?[a-z]+)(?=[ `])/g)].map(([, usage = '']) => usage)
    expect(usages.sort()).toEqual(names.sort())
  })
})

describe('docs/errors.md', () => {
  const errors = read('docs/errors.md')

  it('has every code that a command can end with, and no other, under the heading that the command names', () => {
    const code =
      /(?:OperatorError|Pkcs11Error|Unanswered)\(\s*'([A-Z0-9_]+)'|extends OperatorError [^]*?super\('([A-Z0-9_]+)'/g
    const texts = filesOf('src/*.ts', 'adapters/*.ts').filter((file) => !file.includes('/test/'))
    const codes = texts.flatMap((file) => [...read(file).matchAll(code)].map(([, name, own]) => name ?? own ?? ''))
    expect(new Set(codes).size).toBeGreaterThan(45)
    const [, section = ''] = errors.split('\n## Errors of the command line\n')
    const told = [...section.matchAll(/^#### `([A-Z0-9_]+)`$/gm)].map(([, name = '']) => name)
    expect(told.sort()).toEqual([...new Set(codes)].sort())
    const anchors = anchorsOf(errors)
    expect(told.filter((name) => anchors.filter((anchor) => anchor === name.toLowerCase()).length !== 1)).toEqual([])
  })

  it('has every status, code and reason of an answer', () => {
    const table = read('src/http/proxy-error.ts')
    const reasons = [...table.matchAll(/^ {2}([A-Z_]+): \{|reason: '([A-Z_]+)'/gm)].map(
      ([, row, own]) => row ?? own ?? '',
    )
    const codes = [...table.matchAll(/code: '(\w+)'/g)].map(([, name = '']) => name)
    const absent = [...reasons, ...codes].filter((name) => name !== 'UNAUTHORIZED' && !errors.includes(`\`${name}\``))
    expect([reasons.length > 20, absent]).toEqual([true, []])
  })
})

it('every artefact that documents and deploy/ name is of this version', () => {
  const named = filesOf('README.md', 'docs/*.md', 'src/conformance/README.md', 'deploy').flatMap((file) =>
    [...read(file).matchAll(/(?:ekm-\w+(?:-chart)?[-_:]|^(?:version|appVersion): )(\d+\.\d+\.\d+)/gm)].map(
      ([whole, number = '']) => [number, `${file}: ${whole}`] as const,
    ),
  )
  expect(named.length).toBeGreaterThan(8)
  expect(named.filter(([number]) => number !== version).map(([, where]) => where)).toEqual([])
})
