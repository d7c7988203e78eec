import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CLI, run } from '../commands/cli.ts'
import { FileRecorder } from '../../src/settings/files.ts'
import { loadConfig } from '../../src/config/load.ts'
import { GOOD, makeSite, problemsOf, type Site } from './site.ts'

let site: Site
let file: string
let root: Buffer

/** A configuration that names a file of every kind. */
const YAML = GOOD.replace(
  'key: server.key }',
  'key: encrypted.key, passphrase: { file: passphrase } }\n  ticketKeys: { file: ticket.key }',
)
  .replace('{ file: passphrase }\npools', '{ file: store-passphrase }\npools')
  .replace(
    '- azureCertificate: azure.json',
    '- azureCertificate: azure.json\n      - { subjectCommonNames: [x], caCertificates: [root.pem] }',
  )

beforeAll(async () => {
  site = await makeSite()
  await site.workspace.write('ticket.key', Buffer.alloc(48, 7))
  await site.workspace.write('store-passphrase', 'a passphrase')
  root = await readFile(at('root.pem'))
})
beforeEach(async () => {
  await rm(at('root.pem'), { force: true })
  await site.workspace.write('root.pem', root)
  file = await site.write(YAML)
  for (const name of ['gateway.yaml', ...FILES.map(([name]) => name)]) await chmod(at(name), 0o600)
})
afterAll(() => site.workspace.remove())

const at = (name: string) => site.workspace.path(name)
const exposed = () => {
  const recorder = new FileRecorder()
  loadConfig(file, {}, recorder.read)
  return recorder.exposures
}

const FILES = [
  ['server.pem', 'listen.tls.certificate', false],
  ['encrypted.key', 'listen.tls.key', true],
  ['passphrase', 'listen.tls.passphrase.file', true],
  ['ticket.key', 'listen.ticketKeys.file', true],
  ['store-passphrase', 'backends.store.passphrase.file', true],
  ['azure.json', 'pools[0].clients[0].azureCertificate', false],
  ['root.pem', 'pools[0].clients[1].caCertificates[0]', false],
] as const

describe('a configured file that every user can change', () => {
  it.each(FILES)('is refused: %s', async (name, path) => {
    expect(problemsOf(file)).toEqual([])
    await chmod(at(name), 0o602)
    expect(problemsOf(file)).toMatchObject([
      { path, message: `names a file that every user can change (mode 0602): run chmod o-w ${at(name)}` },
    ])
    await chmod(at(name), 0o640)
    expect(problemsOf(file)).toEqual([])
  })

  it('is refused: the configuration itself', async () => {
    await chmod(file, 0o666)
    const message = `is a file that every user can change (mode 0666): run chmod o-w ${file}`
    expect(problemsOf(file)).toEqual([{ where: file, path: '', message }])
  })

  it('is the target of a link', async () => {
    await rename(at('root.pem'), at('elsewhere.pem'))
    await symlink('elsewhere.pem', at('root.pem'))
    expect(problemsOf(file)).toEqual([])
    await chmod(at('elsewhere.pem'), 0o666)
    expect(problemsOf(file)).toMatchObject([{ message: expect.stringContaining('mode 0666') as string }])
  })

  it('is refused with every other problem', async () => {
    for (const [name] of FILES) await chmod(at(name), 0o606)
    expect(problemsOf(file)).toHaveLength(FILES.length)
  })
})

describe('a directory in which every user can replace a configured file', () => {
  const refusal = (directory: string) =>
    `names a file that every user can replace, because of the directory ${directory} (mode 0777): run chmod o-w ${directory}`

  it('is refused, however far above, unless it is sticky', async () => {
    await mkdir(at('a/b'), { recursive: true })
    await rename(at('root.pem'), at('a/b/root.pem'))
    await site.write(YAML.replace('root.pem', 'a/b/root.pem'))
    expect(problemsOf(file)).toEqual([])
    for (const directory of [at('a'), at('a/b')]) {
      await chmod(directory, 0o777)
      expect(problemsOf(file)).toMatchObject([{ message: refusal(directory) }])
      await chmod(directory, 0o1777)
      expect(problemsOf(file)).toEqual([])
      await chmod(directory, 0o755)
    }
  })

  it('is one that holds a link on the way, too', async () => {
    for (const name of ['real', 'linked']) await mkdir(at(name))
    await rename(at('root.pem'), at('real/root.pem'))
    await symlink('../real', at('linked/current'))
    await site.write(YAML.replace('root.pem', 'linked/current/root.pem'))
    expect(problemsOf(file)).toEqual([])
    for (const name of ['real', 'linked']) {
      await chmod(at(name), 0o777)
      expect(problemsOf(file)).toMatchObject([{ message: refusal(at(name)) }])
      await chmod(at(name), 0o755)
    }
  })

  it('is accepted as Kubernetes mounts a Secret', async () => {
    await mkdir(at('mounted/..2026_11_24'), { recursive: true })
    await chmod(at('mounted'), 0o1777)
    await rename(at('root.pem'), at('mounted/..2026_11_24/root.pem'))
    await symlink('..2026_11_24', at('mounted/..data'))
    await symlink('..data/root.pem', at('mounted/root.pem'))
    await site.write(YAML.replace('root.pem', 'mounted/root.pem'))
    for (const mode of [0o644, 0o440, 0o400]) {
      await chmod(at('mounted/..2026_11_24/root.pem'), mode)
      expect(problemsOf(file)).toEqual([])
    }
  })

  it('is warned of where it is a volume, as an emptyDir is', async () => {
    await mkdir(at('volume'))
    await site.write(YAML.replace('root.pem', 'volume/root.pem'))
    const shell = `mount -t tmpfs -o mode=0777 tmpfs volume && cp root.pem volume/ && exec "$@"`
    const alone = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']
    const inside = (...words: string[]) => {
      const options = [...alone, '--mount', 'sh', '-c', shell, 'sh', process.execPath, CLI, ...words, '--config', file]
      return execFileSync('unshare', options, { cwd: site.workspace.directory, stdio: 'pipe' }).toString()
    }
    expect(inside('config', 'validate')).toContain('is valid')
    const warning = `! configuration.writable     ${at('volume')}: every user can replace files in this directory (mode 0777)`
    expect(inside('check', '--only', 'configuration')).toContain(warning)
  })
})

describe('the check of file modes', () => {
  it('finds nothing if all files are right', () => {
    expect(exposed()).toEqual([])
  })

  it.each(FILES)('%s', async (name, _path, isSecret) => {
    await chmod(at(name), 0o644)
    const read = { path: at(name), mode: '0644', who: 'others', may: 'read', remedy: `chmod o-r ${at(name)}` }
    expect(exposed()).toEqual(isSecret ? [read] : [])
    await chmod(at(name), 0o660)
    const write = { path: at(name), mode: '0660', who: 'group', may: 'write', remedy: `chmod g-w ${at(name)}` }
    expect(exposed()).toEqual([write])
  })
})

it('commands refuse the file modes that serving refuses', async () => {
  await chmod(at('root.pem'), 0o666)
  const { code, stderr } = await run(['config', 'validate', '--config', file])
  expect([code, stderr]).toEqual([1, expect.stringMatching(/gateway\.yaml:\d+: pools\[0\].*run chmod o-w /) as string])
})
