import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, symlink } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Cli, CLI, run } from '../cli.ts'
import { Dialogue } from './dialogue.ts'
import { init, makeSite, makeSiteWithStore, type Site } from './site.ts'

/** Far less than a session takes, and more than a start takes on a busy machine. */
const PATIENCE_MS = 240_000

describe('init, before it asks anything, refuses as the place of its file', { timeout: PATIENCE_MS }, () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSite()
    const { workspace } = site
    await workspace.write('a-file', '')
    execFileSync('mkfifo', [workspace.path('a-pipe')])
    await symlink(workspace.path('none/at/all'), workspace.path('a-link'))
    await mkdir(workspace.path('for-all'))
    await chmod(workspace.path('for-all'), 0o777)
    await mkdir(workspace.path('taken/gateway.yaml.new'), { recursive: true })
  })
  afterAll(() => site.remove())

  it.each([
    ['a directory of the kernel', '/proc/gateway.yaml', /no file can be made in \/proc \(ENOENT\)/],
    ['a directory below one', '/proc/ekm/a/gateway.yaml', /\/proc\/ekm\/a cannot be made \(ENOENT\)/],
    ['a directory', 'for-all', /is a directory; .* such as .*\/for-all\/gateway\.yaml/],
    ['the directory where it is run', '.', /\. names a directory/],
    ['the name of a directory', 'new/', /new\/ names a directory/],
    ['a device', '/dev/null', /\/dev\/null is a device/],
    ['a pipe', 'a-pipe', /a-pipe is a pipe/],
    ['what is below a file', 'a-file/gateway.yaml', /a-file is no directory/],
    ['what is far below a file', 'a-file/b/c/gateway.yaml', /a-file\/b\/c cannot be made \(ENOTDIR\)/],
    ['a link that leads nowhere', 'a-link', /a-link is a link that leads nowhere/],
    ['a name that is too long', `${'x'.repeat(300)}.yaml`, /\(ENAMETOOLONG\)/],
    ['a directory where every user can replace it', 'for-all/gateway.yaml', /every user can replace .*run chmod o-w/],
    ['a directory with another in the way', 'taken/gateway.yaml', /gateway\.yaml\.new is a directory, where init/],
  ])('%s', async (_what, config, says) => {
    const options = { cwd: site.workspace.directory }
    const { code, stdout, stderr } = await run(['init', '--config', config], options)
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(says) as string })
    expect(stderr).toMatch(/; --config takes the path of a file in a directory where this user can make files$/m)
    const dialogue = new Dialogue(['init', '--config', config], site.workspace.directory)
    expect(await dialogue.ended).toBe(1)
    expect(dialogue.text).toMatch(says)
    expect(dialogue.text).not.toContain('Managed HSM')
  })

  it('a disk without room', async () => {
    const command = ['sh', '-c', 'ulimit -f 1; exec "$@"', 'sh', process.execPath, CLI] as const
    const args = ['init', '--config', site.workspace.path('full/gateway.yaml')]
    const { code, stderr } = await new Cli(args, { command }).ended
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/full \(EFBIG\)/) as string })
    expect(await readdir(site.workspace.path('full'))).toEqual([])
  })
})

describe('init with a pipe as the answer', { timeout: PATIENCE_MS }, () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSite()
    execFileSync('mkfifo', [site.workspace.path('a-pipe')])
  })
  afterAll(() => site.remove())

  const own = { 'server-certificate': 'own' }
  const kms = { backend: 'kmip', 'kmip-server': 'kms', 'kmip-ca': 'server-ca.pem', 'kmip-certificate': 'server.pem' }
  it.each([
    ['az-file', {}],
    ['certificate', own],
    ['passphrase-file', { backend: 'software' }],
    ['kmip-ca', kms],
    ['kmip-key', kms],
    ['module', { backend: 'pkcs11' }],
  ])('refuses it, and does not hang: --%s', async (option, flags) => {
    const { code, stderr } = await init(site, { ...flags, [option]: 'a-pipe' }, ['--yes'])
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`--${option}: `))
    expect(existsSync(site.config)).toBe(false)
  })
})

describe('init with a file that is there', { timeout: PATIENCE_MS }, () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSiteWithStore()
  })
  beforeEach(() => site.workspace.discard('gateway.yaml.new'))
  afterAll(() => site.remove())

  const flags = { backend: 'software', 'create-key': 'kek-1:AES' }

  it('does without the file that an interrupted run has left', async () => {
    await site.workspace.write('gateway.yaml.new', 'half a')
    expect(await init(site, flags, ['--yes'])).toMatchObject({ code: 0, stderr: '' })
    expect(await readFile(site.config, 'utf8')).not.toContain('half a')
    expect(existsSync(`${site.config}.new`)).toBe(false)
  })

  it('says at once that what it said before cannot be kept', async () => {
    await mkdir(`${site.config}.previous`)
    const { code, stdout, stderr } = await init(site, flags, ['--yes', '--apply'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/gateway\.yaml\.previous is a directory/)
    // Where nothing would be changed, nothing is in the way.
    expect(await init(site, flags, ['--yes'])).toMatchObject({ code: 0, stderr: '' })
  })
})
