import { execFileSync } from 'node:child_process'
import { mkdir, open, readdir, readFile, readlink, rename, rm, symlink, unlink } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { describeBug } from '../../src/telemetry/bug.ts'
import { openLog, type Log } from '../../src/telemetry/log.ts'
import { until } from '../commands/cli.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'

let workspace: Workspace
let log: Log | undefined
beforeEach(async () => {
  workspace = await makeWorkspace()
})
afterEach(async () => {
  await log?.close()
  log = undefined
  await workspace.remove()
})

interface Line {
  readonly level: string
  readonly time: string
  readonly event: string
  readonly lines?: number
  readonly n?: number
}

const parse = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
const read = async (path: string) => parse(await readFile(path, 'utf8').catch(() => ''))
const turn = () => new Promise((resolve) => setImmediate(resolve))
/** The names of this process's open files, as Linux tells them. */
const openFiles = async () =>
  Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
/** Long enough for lines to be written that were gathered. */
const gathered = () => new Promise((resolve) => setTimeout(resolve, 60))

describe('the log', () => {
  it.each([
    ['debug', ['error', 'warn', 'info', 'debug', 'request']],
    ['info', ['error', 'warn', 'info', 'request']],
    ['warn', ['error', 'warn', 'request']],
    ['error', ['error', 'request']],
  ] as const)('at level %s has the records %j: the audit trail whatever the level', async (level, expected) => {
    const destination = workspace.path('log')
    log = await openLog({ level, destination })
    for (const name of ['error', 'warn', 'info', 'debug'] as const) log[name](name)
    log.always('request', { status: 200 })
    await log.close()
    expect((await read(destination)).map(({ event }) => event)).toEqual(expected)
  })

  it('is one JSON object a line, with the time in UTC', async () => {
    const destination = workspace.path('log')
    log = await openLog({ level: 'info', destination })
    log.always('request', { key: 'a\nb"\u2028', status: 200, absent: undefined })
    await log.close()
    const text = await readFile(destination, 'utf8')
    expect(text.endsWith('\n')).toBe(true)
    expect(parse(text)).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
        event: 'request',
        key: 'a\nb"\u2028',
        status: 200,
      },
    ])
  })

  it.each(['', 'a"b\\c\n\t\u0000\u001f\u007f', '\ud800 alone, \udc00 too', 'grüße 🔑\u2028', '</script>'])(
    'preserves %j, in a line of its own',
    async (text) => {
      const destination = workspace.path('log')
      log = await openLog({ level: 'info', destination })
      const fields = { text, number: 0.25, no: false, absent: undefined }
      log.always('request', { ...fields })
      log.always('request', { number: 0.25, no: false, absent: undefined }, { text })
      log.always('request', {}, { ...fields })
      await log.close()
      const line = {
        level: 'info',
        time: expect.any(String) as string,
        event: 'request',
        text,
        number: 0.25,
        no: false,
      }
      expect(await read(destination)).toEqual([line, line, line])
    },
  )

  it('appends to an existing file, and lets nobody else write', async () => {
    const destination = await workspace.write('log', '{"event":"earlier"}\n')
    log = await openLog({ level: 'info', destination })
    log.info('later')
    await log.close()
    expect((await read(destination)).map(({ event }) => event)).toEqual(['earlier', 'later'])

    const fresh = workspace.path('fresh')
    log = await openLog({ level: 'info', destination: fresh })
    const handle = await open(fresh)
    expect((await handle.stat()).mode & 0o027).toBe(0)
    await handle.close()
  })

  it.each([
    ['a directory that is not there', 'gone/log', 'ENOENT'],
    ['a directory', '.', 'EISDIR'],
  ])('refuses %s with a message for an operator', async (_what, name, code) => {
    const destination = workspace.path(name)
    await expect(openLog({ level: 'info', destination })).rejects.toMatchObject({
      name: 'OperatorError',
      message: `the log cannot be written to ${destination} (${code})`,
    })
  })
})

describe('a log destination that', () => {
  it('nobody reads keeps lines up to its limit; lost lines are counted, and reported once somebody reads', async () => {
    const destination = workspace.path('pipe')
    execFileSync('mkfifo', ['-m', '600', destination])
    log = await openLog({ level: 'info', destination })
    const text = 'x'.repeat(1000)
    const wanted = 12_000
    // A line that waited would wait for ever, because nobody reads yet.
    for (let n = 0; n < wanted; n += 1) {
      log.info('line', { n, text })
      if (n % 100 === 0) await turn()
    }

    const reader = await open(destination)
    let received = ''
    const stream = reader.createReadStream({ encoding: 'utf8' })
    stream.on('data', (chunk) => (received += String(chunk)))
    const writing = log
    await until('every loss to be told', () => {
      if (writing.dropped > 0) writing.info('after')
      return writing.dropped === 0
    })
    log.info('end')
    await until('the end', () => received.includes('"event":"end"'))
    await log.close()
    stream.destroy()
    const lines = parse(received)
    const lost = lines
      .filter(({ event }) => event === 'log_lines_dropped')
      .reduce((sum, line) => sum + (line.lines ?? 0), 0)
    const numbers = lines.flatMap(({ n }) => n ?? [])
    expect(lost).toBeGreaterThan(1000)
    expect(numbers).toEqual([...numbers.keys()])
    expect(numbers.length + lost).toBe(wanted)
    expect(writing.lost).toBe(lost)
  })

  it('is full loses lines, is tried again, and reports their number once it has room', async () => {
    const destination = workspace.path('log')
    await symlink('/dev/full', destination)
    log = await openLog({ level: 'info', destination })
    const writing = log
    writing.info('lost', { n: 0 })
    // The stream fails once, and later lines are kept.
    await until('the loss', () => writing.dropped === 1)
    for (const n of [1, 2]) {
      writing.info('lost', { n })
      await gathered()
    }
    await new Promise((resolve) => setTimeout(resolve, 1200))
    await unlink(destination)
    await until('a line', async () => {
      writing.info('again')
      return (await read(destination)).some(({ event }) => event === 'log_lines_dropped')
    })
    await log.close()
    const lines = await read(destination)
    const lost = lines
      .filter(({ event }) => event === 'log_lines_dropped')
      .reduce((sum, line) => sum + (line.lines ?? 0), 0)
    expect(lost + lines.filter(({ event }) => event === 'lost').length).toBeGreaterThanOrEqual(3)
    expect(lost).toBeGreaterThanOrEqual(1)
  })

  it('was moved away is created again, and no line is lost', async () => {
    const destination = workspace.path('log')
    log = await openLog({ level: 'info', destination })
    const writing = log
    let n = 0
    const write = () => writing.info('line', { n: (n += 1) })
    write()
    await until('the first line', async () => (await read(destination)).length === 1)
    await rename(destination, workspace.path('log.1'))
    await until('a new file', async () => {
      write()
      return (await read(destination)).length > 0
    })
    await log.close()
    const numbers = [...(await read(workspace.path('log.1'))), ...(await read(destination))].map((line) => line.n)
    expect(numbers).toEqual([...Array(n).keys()].map((index) => index + 1))
  })

  it('was removed with its directory is created again as soon as the directory exists', async () => {
    await mkdir(workspace.path('logs'))
    const destination = workspace.path('logs/log')
    log = await openLog({ level: 'info', destination })
    await rm(workspace.path('logs'), { recursive: true })
    await until('it has left the removed file', async () => !(await openFiles()).includes(`${destination} (deleted)`))
    log.info('kept')
    await gathered()
    await mkdir(workspace.path('logs'))
    await until('the line', async () => (await read(destination)).some(({ event }) => event === 'kept'))
  })
})

describe('describeBug', () => {
  const canary = 'canary-77ab'
  const bugs: readonly (readonly [what: string, make: () => unknown])[] = [
    ['an error', () => new Error(canary)],
    ['an error whose message looks like a stack', () => new Error(`x\n    at ${canary} (file:1:1)\n    at ${canary}`)],
    ['an error with a cause', () => new Error('x', { cause: new Error(canary) })],
    ['an error whose message was changed', () => Object.assign(new Error(canary), { message: 'another' })],
    ['an error with further members', () => Object.assign(new Error('x'), { value: canary, code: 5 })],
    ['what JSON.parse throws', () => thrownBy(() => JSON.parse(`{"value":"${canary}`))],
    ['a string', () => canary],
    ['an object', () => ({ [canary]: canary })],
    ['undefined', () => undefined],
  ]

  it.each(bugs)('returns only members of %s that cannot hold a secret', (_what, make) => {
    expect(JSON.stringify(describeBug(make()))).not.toContain(canary)
  })

  it('returns the place of the bug, and Node.js’s code', () => {
    const error = thrownBy(() => new URL(canary))
    expect(describeBug(error)).toMatchObject({ error: 'TypeError', error_code: 'ERR_INVALID_URL' })
    expect(describeBug(error)['stack']).toMatch(/^at .* \| at .*log\.test\.ts:\d+:\d+/)
    expect(describeBug(new Error())['stack']).toMatch(/^at /)
  })
})

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
