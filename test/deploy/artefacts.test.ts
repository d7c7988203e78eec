import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { version } from '../../src/base/version.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { artefact, output, releases } from './support.ts'

let workspace: Workspace
beforeAll(async () => {
  workspace = await makeWorkspace()
})
afterAll(() => workspace.remove())

const sums = (directory: string) => readFileSync(join(directory, 'SHA256SUMS'), 'utf8')

it('has the same bytes in another clone', () => {
  expect(sums(releases.second)).toBe(sums(releases.first))
  const named = sums(releases.first)
    .trim()
    .split('\n')
    .map((line) => line.split('  ')[1])
  expect([...named, 'SHA256SUMS'].sort()).toEqual(readdirSync(releases.first).sort())
  for (const directory of Object.values(releases))
    output('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: directory })
})

it('has the files that RELEASING.md lists, but for the signature', () => {
  const table = readFileSync('RELEASING.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  const listed = table.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )
  const names = listed.map((name) => name.replace('VERSION', version)).filter((name) => !/\.(sig|pub)$/.test(name))
  expect(readdirSync(releases.first).sort()).toEqual(names.sort())
})

it('the README’s first line needs no compiler, for what it would build is optional', () => {
  const cwd = dirname(releases.second)
  output('npm', ['ci', '--no-audit', '--no-fund'], { cwd, env: { ...process.env, CC: 'false', CXX: 'false' } })
  expect(existsSync(join(cwd, 'node_modules/pkcs11js'))).toBe(false)
  const tour = ['--once', '--port', '0', '--directory', workspace.path('first-tour')]
  expect(output('npm', ['run', '--silent', 'quickstart', '--', ...tour], { cwd })).toContain('came back')
})

describe('the npm package', () => {
  it('installs the command, without tests, with its lock and the suites', () => {
    const prefix = workspace.path('npm')
    output('npm', [
      'install',
      '--global',
      '--no-audit',
      '--no-fund',
      '--prefix',
      prefix,
      artefact(`gateway-${version}.tgz`),
    ])
    const command = join(prefix, 'bin/ekm-gateway')
    expect(output(command, ['--version'])).toBe(`${version}\n`)
    expect(output(command, ['conformance', '--list']).split('\n').length).toBeGreaterThan(50)
    const demonstration = output(command, [
      'quickstart',
      '--once',
      '--port',
      '0',
      '--directory',
      workspace.path('tour'),
    ])
    expect(demonstration).toContain('came back')

    const root = join(prefix, 'lib/node_modules/ekm-gateway')
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      (file) => !file.startsWith('node_modules/'),
    )
    expect(files.filter((file) => /(^|\/)test(s)?\/|\.test\./.test(file))).toEqual([])
    const licences = readFileSync(join(root, 'THIRD-PARTY-LICENSES'), 'utf8')
    for (const name of ['hono', 'pkcs11js', 'rolldown']) expect(licences).toMatch(new RegExp(`^${name} \\d`, 'm'))
    expect(licences).not.toMatch(/^Node\.js/m)
    // Everything else is in the programs: what is not loaded would be taken for what is.
    expect(readdirSync(join(root, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['pkcs11js'])
    const { packages } = JSON.parse(readFileSync(join(root, 'npm-shrinkwrap.json'), 'utf8')) as {
      packages: Record<string, { version?: string }>
    }
    for (const [path, locked] of Object.entries(packages).filter(([path]) => path !== '')) {
      if (!existsSync(join(root, path))) continue
      const { version: installed } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
        version: string
      }
      expect([path, installed]).toEqual([path, locked.version])
    }
    expect(Object.keys(packages)).not.toContain('node_modules/vitest')
  })

  it('compiles pkcs11js as docs/install.md has it, also with npm 12, which runs no script that nobody allowed', () => {
    const [, line = ''] = /`npm (install --global .*)`/.exec(readFileSync('docs/install.md', 'utf8')) ?? []
    const words = line.split(' ').map((word) => (word.endsWith('.tgz') ? artefact(`gateway-${version}.tgz`) : word))
    const [directory, prefix] = [workspace.path('npm-12'), workspace.path('by-npm-12')]
    mkdirSync(directory)
    output('npm', ['install', '--no-audit', '--no-fund', '--prefix', directory, 'npm@12'])
    output('node', [join(directory, 'node_modules/npm/bin/npm-cli.js'), ...words, '--prefix', prefix])
    const cwd = join(prefix, 'lib/node_modules/ekm-gateway')
    expect(output('node', ['--eval', "console.log(typeof require('pkcs11js').PKCS11)"], { cwd })).toBe('function\n')
  })

  it.each([
    ['ttlv-codec', "import('ttlv-codec').then((all) => console.log(Object.keys(all).length > 5))"],
    ['ekm-conformance', "import('ekm-conformance').then((all) => console.log(Object.keys(all).length > 0))"],
  ])('has %s beside it', (name, script) => {
    const directory = workspace.path(name)
    mkdirSync(directory)
    writeFileSync(join(directory, 'package.json'), '{}')
    output('npm', ['install', '--no-audit', '--no-fund', artefact(`${name}-${version}.tgz`)], { cwd: directory })
    expect(output('node', ['--eval', script], { cwd: directory })).toBe('true\n')
  })
})

it('the tarball runs in an empty folder, without this machine’s Node.js', () => {
  output('tar', ['-xzf', artefact('.tar.gz'), '-C', workspace.directory])
  const command = workspace.path(`ekm-gateway-${version}-linux-x64/bin/ekm-gateway`)
  const env = { PATH: '/usr/bin:/bin' }
  expect(output(command, ['--version'], { env })).toBe(`${version}\n`)
  expect(
    output(command, ['quickstart', '--once', '--port', '0', '--directory', workspace.path('other-tour')], { env }),
  ).toContain('came back')
})

it('the examples are complete: what compose.yaml mounts is beside it', () => {
  output('tar', ['-xzf', artefact('.tar.gz'), '-C', workspace.directory])
  const examples = workspace.path(`ekm-gateway-${version}-linux-x64/examples`)
  const compose = readFileSync(join(examples, 'compose.yaml'), 'utf8')
  const mounted = [...compose.matchAll(/- (\.\/\S+?):/g)].map(([, path = '']) => path)
  expect(mounted.length).toBeGreaterThan(1)
  for (const path of [...mounted, 'kubernetes/ekm-gateway.yaml', 'example-values.yaml'])
    expect(existsSync(join(examples, path)), path).toBe(true)
})

it('the provenance names every artefact, the commit, and what of this machine is in the image', () => {
  const statement = JSON.parse(readFileSync(artefact('.provenance.json'), 'utf8')) as {
    subject: { name: string; digest: { sha256: string } }[]
    predicate: { buildDefinition: { resolvedDependencies: { uri: string; digest?: { gitCommit?: string } }[] } }
  }
  const lines = statement.subject.map(({ name, digest }) => `${digest.sha256}  ${name}`)
  const others = sums(releases.first)
    .trim()
    .split('\n')
    .filter((line) => !line.endsWith('.provenance.json'))
  expect(lines.sort()).toEqual(others.sort())
  const head = output('git', ['rev-parse', 'HEAD'], { cwd: releases.first }).trim()
  const { resolvedDependencies: made } = statement.predicate.buildDefinition
  expect(made.map(({ digest }) => digest?.gitCommit)).toContain(head)
  expect(made.map(({ uri }) => uri)).toContainEqual(expect.stringMatching(/^pkg:deb\/debian\/libc6@/))
})

describe.each([
  ['Ed25519', () => generateKeyPairSync('ed25519').privateKey],
  ['ECDSA', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
])('a signature with %s', (_name, make) => {
  it('verifies, and only for these sums', () => {
    const key = make().export({ type: 'pkcs8', format: 'pem' }) as string
    const directory = join(releases.second)
    output('sh', ['deploy/release/sign.sh', directory], { env: { ...process.env, EKM_RELEASE_KEY: key } })
    const check = () =>
      output(
        'openssl',
        [
          'pkeyutl',
          '-verify',
          '-rawin',
          '-pubin',
          '-inkey',
          'SHA256SUMS.pub',
          '-in',
          'SHA256SUMS',
          '-sigfile',
          'SHA256SUMS.sig',
        ],
        { cwd: directory },
      )
    expect(check()).toContain('Verified Successfully')
    const before = sums(directory)
    appendFileSync(join(directory, 'SHA256SUMS'), '\n')
    expect(check).toThrow()
    writeFileSync(join(directory, 'SHA256SUMS'), before)
  })
})
