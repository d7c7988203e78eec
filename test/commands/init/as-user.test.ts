import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MODULE, PIN, softHsm } from '../../pkcs11/support/softhsm.ts'
import { init, makeSite, makeSiteWithStore, type Flags, type Site } from './site.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534
/** False for a Node.js below a directory that root alone may enter, such as /root. */
const nobodyRunsNode = isRoot && spawnSync(process.execPath, ['--version'], { uid: NOBODY }).status === 0
const software: Flags = { backend: 'software', 'create-key': 'kek-1:AES' }

/** A site that the user nobody may enter, with files of nobody's and files of root's alone. */
async function makeSharedSite(): Promise<Site> {
  const site = await makeSite()
  const { workspace, pki } = site
  for (const [prefix, owner] of [
    ['roots', 0],
    ['own', NOBODY],
  ] as const) {
    for (const [name, content] of [
      ['pin', `${PIN}\n`],
      ['passphrase', 'horse battery staple\n'],
      ['server.pem', pki.server.certificate],
      ['server.key', pki.server.key],
      ['az.json', await readFile(workspace.path('azure-client.json'))],
    ] as const) {
      const path = await workspace.write(`${prefix}-${name}`, content)
      if (isRoot) await chown(path, owner, owner)
    }
  }
  await workspace.write('server-ca.pem', pki.serverCa.certificate, 0o644)
  await mkdir(workspace.path('roots-store'), { mode: 0o700 })
  await chmod(workspace.directory, 0o711)
  if (isRoot) {
    await mkdir(workspace.path('etc'), { mode: 0o755 })
    await chown(workspace.path('etc'), NOBODY, NOBODY)
  }
  return site
}

describe('init --as USER', { timeout: 120_000 }, () => {
  const hsm = softHsm()
  let site: Site
  beforeAll(async () => {
    hsm.initToken('ekm')
    if (isRoot) execFileSync('chown', ['--recursive', `${NOBODY}`, hsm.directory])
    site = await makeSharedSite()
  })
  afterAll(async () => {
    await site.remove()
    hsm.remove()
  })

  const environment = { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' }
  const as = (flags: Flags, user = 'nobody', config = 'etc/gateway.yaml') =>
    init(
      site,
      { 'az-file': 'own-az.json', ...flags, config: site.workspace.path(config), as: user },
      ['--yes'],
      environment,
    )

  it('is for root alone, and for a user that there is', async () => {
    const { code, stderr } = await as(software, isRoot ? 'nobody-of-that-name' : 'nobody')
    const says = isRoot ? /^ekm-gateway: --as nobody-of-that-name: there is no such user/ : /--as is for root alone/
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(says) as string })
  })

  // Only root can become another user.
  const rows: readonly (readonly [what: string, flags: Flags, says: RegExp])[] = [
    ['az-file', { 'az-file': 'roots-az.json' }, /--az-file: .*cannot be read \(EACCES\)/],
    [
      'certificate',
      { 'server-certificate': 'own', certificate: 'roots-server.pem' },
      /--certificate: .*roots-server\.pem cannot be read \(EACCES\): let the gateway's user own it/,
    ],
    [
      'key',
      { 'server-certificate': 'own', certificate: 'own-server.pem', key: 'roots-server.key' },
      /--key: .*roots-server\.key cannot be read \(EACCES\): let the gateway's user own it/,
    ],
    [
      'passphrase-file',
      { ...software, 'passphrase-file': 'roots-passphrase' },
      /--passphrase-file: .*cannot be read \(EACCES\); let the gateway's user own it/,
    ],
    ['store', { ...software, store: 'roots-store' }, /--store: .*roots-store cannot be a key store \(EACCES\)/],
    [
      'PIN, without a login',
      { backend: 'pkcs11', module: MODULE, token: 'ekm', 'pin-file': 'roots-pin' },
      // The module is loaded by a process of its own, which comes first.
      nobodyRunsNode
        ? /--pin-file: .*cannot be read \(EACCES\); let the gateway's user own it/
        : /--module: .*failed: spawn .* EACCES/,
    ],
  ]
  it.each(isRoot ? rows : [])(
    'refuses what that user could not read, at the answer: the %s',
    async (_what, flags, says) => {
      const { code, stderr } = await as(flags)
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(says) as string })
    },
  )

  it.each(isRoot ? ['gateway.yaml', 'of-root/gateway.yaml'] : [])(
    'says at once that this user cannot make it: %s',
    async (config) => {
      const { code, stdout, stderr } = await as(software, 'nobody', config)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/\(EACCES\)(?:: this user may not write there)?; --config takes the path of a file in/)
    },
  )

  it.each(isRoot ? ['nobody', String(NOBODY)] : [])('makes what belongs to that user: %s', async (user) => {
    const config = `etc/${user}/gateway.yaml`
    const { code, stdout, stderr } = await as(software, user, config)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Everything is looked at and written as nobody.')
    expect(stdout).not.toContain('root alone')
    expect(stdout).toMatch(/^ {2}\S.* check --as nobody --config /m)
    expect(stdout).toMatch(/^ {2}runuser -u nobody -- \S.* serve --config /m)
    for (const name of ['gateway.yaml', 'server.key', 'passphrase', 'keys']) {
      expect([name, (await stat(site.workspace.path(`etc/${user}/${name}`))).uid]).toEqual([name, NOBODY])
    }
  })
})

const notesIn = (text: string) => [...text.matchAll(/note: (root alone .*)/g)].map(([, note]) => note)

describe('init without --as', { timeout: 120_000 }, () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSiteWithStore()
  })
  afterAll(() => site.remove())

  it(`says what root alone can read, and nobody else is told so: ${userInfo().username}`, async () => {
    const { code, stdout, stderr } = await init(site, software, ['--yes'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(notesIn(stdout)).toEqual(isRoot ? [`root alone can enter ${site.workspace.directory}`] : [])
    expect(stdout.includes('give that with --as USER')).toBe(isRoot)

    // Entered by all, it has a key and a passphrase that are root's alone.
    await chmod(site.workspace.directory, 0o755)
    const again = await init(site, {}, ['--yes'])
    const secrets = ['server.key', 'azure-client.json', 'passphrase'].map(
      (name) => `root alone can read ${site.workspace.path(name)}`,
    )
    expect(notesIn(again.stdout).sort()).toEqual(isRoot ? expect.arrayContaining(secrets) : [])
  })
})
