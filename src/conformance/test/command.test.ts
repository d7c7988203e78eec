import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { catalogue } from '../src/catalogue.ts'
import { ProgressLine } from '../src/progress.ts'
import { styleFor } from '../src/style.ts'
import { Installed, type Ended } from './installed.ts'
import { makeLaboratory, type Laboratory } from './laboratory.ts'
import { leaksIn } from './leaks.ts'
import { makeClient } from './pki.ts'
import { badRequest, right, type Behaviour } from './wrong-proxies/behaviour.ts'
import { SimpleProxy } from './wrong-proxies/proxy.ts'

let laboratory: Laboratory
let installed: Installed
let files: Readonly<Record<'ca' | 'cert' | 'key', string>>

beforeAll(async () => {
  laboratory = makeLaboratory()
  installed = await Installed.make()
  const { pki } = laboratory
  files = {
    ca: await installed.write('ca.pem', pki.serverCa.certificate),
    cert: await installed.write('client.pem', pki.client.certificate),
    key: await installed.write('client.key', pki.client.key),
  }
}, 120_000)

afterAll(() => installed.remove())

/** Runs the command against a proxy with this behaviour. */
async function conformance(behaviour: Partial<Behaviour>, args: readonly string[], changes: object = {}) {
  const proxy = new SimpleProxy({ ...right, ...behaviour }, laboratory.parts)
  const url = `https://localhost:${await proxy.listen()}/azureekm/contoso`
  const options = { url, ...files, 'aes-key': 'aes-1', ...changes }
  try {
    return await installed.run([...Object.entries(options).map(([name, value]) => `--${name}=${value}`), ...args])
  } finally {
    proxy.close()
  }
}

const FEW = ['--only=info', '--only=alg', '--only=error', '--only=rsa-oaep', '--only=latency']
const caseInsensitive: Partial<Behaviour> = { algorithm: (name) => name.toUpperCase() }
const noAllow: Partial<Behaviour> = { methodRefusal: (method) => (method === 'POST' ? undefined : badRequest()) }
const formats = ['text', 'tap', 'junit', 'json', 'html'] as const
const json = ({ stdout }: Ended) =>
  JSON.parse(stdout) as { conformant: boolean; cases: { id: string; outcome: string; last?: Record<string, string> }[] }

describe('the packed package', () => {
  it('holds the program, its types, the README and the licence, and nothing else', async () => {
    const sources = (await readdir(new URL('../src', import.meta.url), { recursive: true })).filter((file) =>
      file.endsWith('.ts'),
    )
    const compiled = sources.flatMap((file) => [file.replace(/\.ts$/, '.js'), file.replace(/\.ts$/, '.d.ts')])
    const wanted = ['LICENSE', 'README.md', 'package.json', ...compiled.map((file) => `dist/${file}`)]
    expect([...installed.files].sort()).toEqual(wanted.sort())
  })

  it('has one dependency', async () => {
    const packages = (await readdir(installed.path('node_modules'))).filter((name) => !name.startsWith('.'))
    expect(packages).toEqual(['commander', 'ekm-conformance'])
  })

  it('can be imported as a library', async () => {
    const script =
      "import { catalogue, runConformance } from 'ekm-conformance'; console.log(catalogue.length, typeof runConformance)"
    await installed.write('use.mjs', script)
    const { stdout } = await promisify(execFile)(process.execPath, ['use.mjs'], { cwd: installed.directory })
    expect(stdout).toBe(`${catalogue.length} function\n`)
  })

  it('prints its version', async () => {
    const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    expect(await installed.run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })
})

describe('ekm-conformance', () => {
  it('ends with 0 where every rule is kept, without colour or progress in a pipe', async () => {
    const { code, stdout, stderr } = await conformance({}, FEW)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toMatch(/✓ alg\.case +the name of an algorithm is case-sensitive\n/)
    expect(stdout).toMatch(/\nLatency in ms +p50 +p95 +p99 +max +beyond 250 ms +calls\n +first call /)
    expect(stdout).toMatch(/conformant: \d+ of \d+ rules kept; \d+ not run\n/)
  })

  it('names the cases that do not run, and what each needs', async () => {
    const { stdout } = await conformance({}, [...FEW, '--format=json'])
    const rsa = catalogue.filter(({ id }) => id.startsWith('rsa-oaep.') || id === 'alg.mismatch-rsa')
    const notRun = json({ stdout } as Ended).cases.filter(({ outcome }) => outcome === 'not run')
    // These cases send calls of the API only.
    expect(notRun.map(({ id }) => id).sort()).toEqual([...rsa.map(({ id }) => id), 'error.elsewhere'].sort())
    expect(JSON.stringify(notRun)).toContain('needs --rsa-key NAME')
  })

  it('ends with 1 where a rule is broken, and shows the request, the expected and the actual answer', async () => {
    const { code, stdout } = await conformance(caseInsensitive, FEW)
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /✗ alg\.case .*\(must\)\n +sent +POST .*wrapkey.* alg a256kw, .*\n +expected +400\n +came +200 \{"value":"<54 characters>"\}/,
    )
    expect(stdout).toMatch(/must, and does not: alg\.case\nNOT conformant: 1 of \d+ rules broken/)
  })

  it('ends with 0 where only advice is not followed', async () => {
    const { code, stdout } = await conformance(noAllow, ['--only=http.method-status', '--format=tap'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^TAP version 14\n1\.\.1\nnot ok 1 - http\.method-status .* # TODO should\n/)
  })

  it.each(formats)('writes %s that holds every case', async (format) => {
    const { code, stdout } = await conformance(caseInsensitive, [...FEW, `--format=${format}`])
    expect(code).toBe(1)
    const wanted = catalogue.filter(({ id }) => FEW.includes(`--only=${id.split('.')[0] ?? ''}`))
    switch (format) {
      case 'text':
        for (const { id } of wanted) expect(stdout).toContain(` ${id} `)
        break
      case 'tap':
        expect(stdout.match(/^(?:not )?ok \d+ - /gm)).toHaveLength(wanted.length)
        expect(stdout.match(/^not ok .*$/gm)).toEqual([expect.stringMatching(/- alg\.case /)])
        break
      case 'junit':
        expect(stdout.match(/<testcase /g)).toHaveLength(wanted.length)
        expect(stdout.match(/<failure /g)).toHaveLength(1)
        expectWellFormed(stdout)
        break
      case 'json':
        expect(
          json({ stdout } as Ended)
            .cases.map(({ id }) => id)
            .sort(),
        ).toEqual(wanted.map(({ id }) => id).sort())
        expect(json({ stdout } as Ended).conformant).toBe(false)
        break
      case 'html':
        for (const { id } of wanted) expect(stdout).toContain(`<code>${id}</code>`)
        expect(stdout).toContain('<svg viewBox=')
        expect(stdout).not.toMatch(/<script|<link|<img|href=|src=|url\(/)
    }
  })

  it('plays a Managed HSM and draws the distribution', async () => {
    const args = ['--only=load', '--load=100', '--duration=1', '--connections=3']
    const { code, stdout } = await conformance({}, args)
    expect(code).toBe(0)
    expect(stdout).toMatch(/load, wrapkey +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +0\.00 % +50\n/)
    expect(stdout).toMatch(/Distribution under load\n(?: +[\d.]+ to [\d.]+ ms [█▏▎▍▌▋▊▉ ]+ +[\d.]+ % +\d+\n)+/)
  })

  it('shows no data key and no wrapped value, in any format', async () => {
    const values: Buffer[] = []
    const note = (bytes: Buffer) => {
      if (bytes.length >= 8) values.push(Buffer.from(bytes))
      return bytes
    }
    const talkative: Partial<Behaviour> = {
      wrap: (work, kek) => note(right.wrap({ ...work, bytes: note(work.bytes) }, kek)),
      cannotUnwrap: (_error, { bytes }) => badRequest(`bad: ${note(bytes).toString('base64url')}`),
      badLength: (value) => badRequest(`bad: ${value}`),
    }
    for (const format of formats) {
      const args = ['--only=a256kw', '--only=encoding', '--only=error', `--format=${format}`]
      const { code, stdout, stderr } = await conformance(talkative, args)
      expect(code).toBe(1)
      expect(values.length).toBeGreaterThan(100)
      expect(leaksIn(stdout + stderr, values.splice(0))).toEqual([])
    }
  })
})

describe('ekm-conformance ends with 2, and says why, given', () => {
  // Not formatted: one refusal a line.
  const rows: readonly (readonly [string, object, RegExp])[] = [
    [
      'a port where nobody listens',
      { url: 'https://localhost:1/x' },
      /no TLS connection to localhost:1 \(ECONNREFUSED.*is it running\?/,
    ],
    ['a URL that is not https', { url: 'http://localhost/' }, /--url http:\/\/localhost\/: it must be https:/],
    ['a URL with a query', { url: 'https://localhost/?a=1' }, /it must be https:/],
    ['a file that is not there', { ca: '/nowhere.pem' }, /--ca \/nowhere\.pem cannot be read \(ENOENT\)/],
    ['a key that is not there', { 'aes-key': 'nobody' }, /the proxy has no key nobody \(404 KeyNotFound\)/],
    ['a case that does not exist', { only: 'nonsense' }, /no case is called nonsense/],
    ['a malformed --refused', { refused: 'x' }, /--refused x: it must be NAME=CERT\.PEM,KEY\.PEM/],
    ['an option that does not exist', { nonsense: 1 }, /unknown option '--nonsense=1'/],
    ['the format markdown for a run', { format: 'markdown' }, /--format markdown is for --list/],
  ]

  it.each(rows)('%s', async (_what, changes, says) => {
    const { code, stdout, stderr } = await conformance({}, [], changes)
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(says) as string })
  })

  it("another prefix than the proxy's", async () => {
    const ended = await conformance({ below: () => undefined }, [])
    expect(ended.stderr).toMatch(/info is not at localhost:\d+ \(404 NotFound\): is the prefix of --url right\?/)
    expect(ended.code).toBe(2)
  })

  it('a client that the proxy does not let in', async () => {
    const { certificate, key } = makeClient(laboratory.pki.clientCa, { commonName: 'mallory' })
    const changes = { cert: await installed.write('m.pem', certificate), key: await installed.write('m.key', key) }
    const { code, stderr } = await conformance({}, [], changes)
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/does not let the client of --cert in \(401 Unauthorized\)/) as string,
    })
  })

  it("another root than the proxy's", async () => {
    const { code, stderr } = await conformance({}, [], { ca: files.cert })
    expect(code).toBe(2)
    expect(stderr).toMatch(/does its certificate lead to --ca\?/)
  })

  it('no options', async () => {
    const { code, stderr } = await installed.run([])
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'ekm-conformance: --url is required\n' })
  })
})

describe('ekm-conformance --list', () => {
  it('prints the catalogue as text', async () => {
    const { code, stdout } = await installed.run(['--list'])
    expect(code).toBe(0)
    for (const { id, severity, title } of catalogue)
      expect(stdout).toContain(`  ${id.padEnd(28)} ${severity.padEnd(6)} ${title}\n`)
    expect(stdout).toContain(`${catalogue.length} cases: `)
  })

  it('prints the catalogue as JSON', async () => {
    const { stdout } = await installed.run(['--list', '--format', 'json'])
    const listed = JSON.parse(stdout) as { id: string; clause: string; severity: string; title: string }[]
    expect(listed.map(({ id, clause, severity, title }) => ({ id, clause, severity, title }))).toEqual(
      catalogue.map(({ id, clause, severity, title }) => ({ id, clause, severity, title })),
    )
  })

  it('refuses any format but text, JSON and Markdown', async () => {
    expect((await installed.run(['--list', '--format', 'tap'])).code).toBe(2)
  })
})

describe('ekm-conformance on a terminal', () => {
  it('colours its text, unless NO_COLOR is set', () => {
    expect(styleFor({ isTTY: true }, {}).bad('x')).toBe('\u001b[31mx\u001b[39m')
    expect(styleFor({ isTTY: true }, { NO_COLOR: '' }).bad('x')).toBe('\u001b[31mx\u001b[39m')
    expect(styleFor({ isTTY: true }, { NO_COLOR: '1' }).bad('x')).toBe('x')
    expect(styleFor({}, {}).bad('x')).toBe('x')
  })

  it('shows progress in one line, which is cut to the width and gone at the end', () => {
    const written: string[] = []
    const stream = { isTTY: true, columns: 11, write: (text: string) => written.push(text) }
    const line = new ProgressLine(stream as unknown as NodeJS.WriteStream)
    line.show('0123456789abcdef')
    line.clear()
    line.clear()
    expect(written).toEqual(['\r\u001b[K0123456789', '\r\u001b[K'])
  })
})

/** Checks that elements are closed in order and that no text has a bare ampersand. Our own generator needs no more. */
function expectWellFormed(xml: string): void {
  const open: string[] = []
  for (const [, close, name, empty] of xml.matchAll(/<(\/?)([a-z]+)(?:\s+[a-z]+="[^"<]*")*\s*(\/?)>/g)) {
    if (close === '/') expect(open.pop()).toBe(name)
    else if (empty === '') open.push(name ?? '')
  }
  expect(open).toEqual([])
  expect(xml).not.toMatch(/&(?!(?:amp|lt|gt|quot|#39);)/)
  expect(xml.replace(/<\?xml[^>]*>|<!--.*?-->|<\/?[a-z]+(?:\s+[a-z]+="[^"<]*")*\s*\/?>/g, '')).not.toContain('<')
}
