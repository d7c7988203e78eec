import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { faultyToken } from '../../pkcs11/support/faulty-token.ts'
import { PIN } from '../../pkcs11/support/softhsm.ts'
import { takePort } from '../serving.ts'
import { init, makeSite, makeSiteWithStore, type Flags, type Site } from './site.ts'

const software: Flags = { backend: 'software', 'create-key': 'kek-1:AES' }

describe('init refuses, and writes no configuration for,', () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSite()
    await site.workspace.write('other.pem', site.pki.server.certificate)
    await site.workspace.write('other.key', site.pki.server.key)
    await site.workspace.write('other-ca.pem', site.pki.serverCa.certificate)
    await site.workspace.write('azure-ca.pem', site.pki.clientCa.certificate)
    await site.workspace.write('no-az.json', '{}')
  })
  afterAll(() => site.remove())

  const own = { 'server-certificate': 'own', certificate: 'other.pem', key: 'other.key', 'server-ca': 'other-ca.pem' }
  it.each<readonly [string, Flags, RegExp]>([
    [
      'a host name that is an address',
      { 'host-name': '10.0.0.1' },
      /^ekm-gateway: --host-name: 10\.0\.0\.1 is no host name/,
    ],
    ['a port that the system would choose', { port: '0' }, /^ekm-gateway: --port: 0 is no port: write a number from 1/],
    ['a port that there is not', { port: '65536' }, /^ekm-gateway: --port: 65536 is no port/],
    ['a port in another spelling', { port: '0443' }, /^ekm-gateway: --port: 0443 is no port/],
    ['a word as a port', { port: 'https' }, /^ekm-gateway: --port: https is no port/],
    ['an admin port of 0', { 'admin-port': '0' }, /^ekm-gateway: --admin-port: 0 is no port: .*, or none/],
    ['one port for both', { port: '8443', 'admin-port': '8443' }, /^ekm-gateway: --port: 8443 is the admin port too/],
    ['an address that is not here', { 'listen-host': '192.0.2.1' }, /^ekm-gateway: --listen-host: .*\(EADDRNOTAVAIL\)/],
    [
      'a certificate for another name',
      { ...own, 'host-name': 'ekm.example.com' },
      /--certificate: the certificate does not name ekm\.example\.com, but DNS:localhost/,
    ],
    [
      'a root that the certificate does not lead to',
      { ...own, 'server-ca': 'azure-ca.pem' },
      /--server-ca: leads to|--server-ca: the certificate of test server CA/,
    ],
    ["a key that is another's", { ...own, key: 'server.key' }, /--key: .*(?:does not belong|cannot be read)/],
    [
      'what is no output of az',
      { 'az-file': 'no-az.json' },
      /--az-file: .*is not the output of az keyvault ekm-connection certificate show/,
    ],
    [
      'a file in the place of the store',
      { ...software, store: 'server.pem' },
      /--store: .*server\.pem cannot be a key store \(ENOTDIR\)/,
    ],
    [
      'a passphrase file in a directory that there is not',
      { ...software, 'passphrase-file': 'none/passphrase' },
      /--passphrase-file: .*none\/passphrase cannot be made \(ENOENT\)/,
    ],
    ['no key at all', { ...software, keys: ' , ' }, /--keys: name at least one key/],
    [
      'one name for two new keys',
      { ...software, 'create-key': 'kek-1:AES,kek-1:RSA' },
      /^ekm-gateway: --create-key: kek-1 is named twice/,
    ],
    ['one name for two keys', { ...software, keys: 'kek-1=a,kek-1=b' }, /^ekm-gateway: --keys: kek-1 is named twice/],
    [
      'a directory that every user can change as a module',
      { backend: 'pkcs11', module: '/tmp' },
      /^ekm-gateway: --module: \/tmp is not a shared library/,
    ],
    ['a directory in the place of a file', { 'az-file': '.' }, /--az-file: .*cannot be read \(EISDIR\)/],
    ['a file without an end', { 'az-file': '/dev/zero' }, /--az-file: .*cannot be read \(ENODEV\)/],
    [
      'a path prefix that no pool may have',
      { 'path-prefix': 'a//b' },
      /--path-prefix: must be at most 64 characters of/,
    ],
    ['a kind that there is not', { backend: 'vault' }, /--backend: vault is none of: software, pkcs11, kmip$/m],
    [
      'an answer that is missing',
      { backend: 'pkcs11' },
      /^ekm-gateway: --module is missing: the vendor's PKCS#11 library/,
    ],
    [
      'a wrong module path',
      { backend: 'pkcs11', module: '/usr/lib/none.so' },
      /--module: there is no readable PKCS#11 module at \/usr\/lib\/none\.so/,
    ],
  ])('%s', async (_what, flags, says) => {
    const ended = await init(site, flags, ['--yes'])
    expect(ended).toMatchObject({ code: 1, stderr: expect.stringMatching(says) as string })
    expect(existsSync(site.config)).toBe(false)
  })

  it('a port that another program has', async () => {
    const { port, release } = await takePort()
    const { code, stderr } = await init(site, { port: String(port) }, ['--yes'])
    await release()
    expect(code).toBe(1)
    expect(stderr).toContain(`--port: cannot listen on 127.0.0.1 port ${port} (EADDRINUSE): another program has it`)
  })

  it('an admin port that another program has', async () => {
    const { port, release } = await takePort()
    const { code, stderr } = await init(site, { 'admin-port': String(port) }, ['--yes'])
    await release()
    expect(code).toBe(1)
    expect(stderr).toContain(`--admin-port: cannot listen on 127.0.0.1 port ${port} (EADDRINUSE): another program`)
  })
})

describe('init wastes no login on a PIN', () => {
  const { hsm, faults } = faultyToken()
  let site: Site
  beforeAll(async () => {
    site = await makeSite()
    await site.workspace.write('wrong-pin', '000000\n')
    await site.workspace.write('pin', `${PIN}\n`)
  })
  afterAll(() => site.remove())

  const environment = { SOFTHSM2_CONF: `${hsm.directory}/softhsm2.conf` }
  const token = { backend: 'pkcs11', module: faults.path, token: 'ekm', keys: 'aes' }

  it.each([
    ['that one more wrong one would lock', 0x2_0000, /one more wrong PIN locks it/],
    ['that is locked', 0x4_0000, /its PIN is locked/],
  ])('%s: none', async (_what, flag, says) => {
    faults.script(`C_GetTokenInfo flags ${flag}`)
    faults.logins()
    const { code, stderr } = await init(site, { ...token, 'pin-file': 'pin' }, ['--yes'], environment)
    expect(code).toBe(1)
    expect(stderr).toMatch(says)
    expect(faults.logins()).toBe(0)
    expect(existsSync(site.config)).toBe(false)
  })

  it('that is wrong: one, and it explains the effect on the token, which the next right PIN reverses', async () => {
    faults.logins()
    const wrong = await init(site, { ...token, 'pin-file': 'wrong-pin' }, ['--yes'], environment)
    expect(wrong).toMatchObject({ code: 1 })
    expect(wrong.stderr).toMatch(
      /refuses the login with CKR_PIN_INCORRECT.*this was one try: a wrong one was tried since/,
    )
    expect(wrong.stdout + wrong.stderr).not.toContain('000000')
    expect(faults.logins()).toBe(1)
    expect(existsSync(site.config)).toBe(false)

    const right = await init(site, { ...token, 'pin-file': 'pin' }, ['--yes'], environment)
    expect(right).toMatchObject({ code: 0, stderr: '' })
    expect(right.stdout).toContain('ekm counts wrong PINs, and says: a wrong one was tried since the last login')
  })
})

describe('init, run again,', () => {
  let site: Site
  let written: string
  beforeAll(async () => {
    site = await makeSiteWithStore()
    expect(await init(site, software, ['--yes'])).toMatchObject({ code: 0, stderr: '' })
    written = (await readFile(site.config, 'utf8')).replace('pools:', '# mine\nlimits:\n  deadlineMs: 150\n\npools:')
  })
  beforeEach(() => site.workspace.write('gateway.yaml', written))
  afterAll(() => site.remove())

  it('changes nothing if the answers are the same', async () => {
    const again = await init(site, {}, ['--yes'])
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).toContain('says all of this already: nothing is changed')
    expect(await readFile(site.config, 'utf8')).toBe(written)
  })

  it('proposes the differences, with a status of its own', async () => {
    const { code, stdout } = await init(site, { 'path-prefix': 'azureekm/other' }, ['--yes'])
    expect(code).toBe(3)
    expect(stdout).toContain('   pools[0].pathPrefix: "azureekm/other"\nNothing is changed.')
    expect(await readFile(site.config, 'utf8')).toBe(written)
  })

  it('makes only the confirmed change, and keeps the rest', async () => {
    const flags = { 'path-prefix': 'azureekm/other', 'create-key': 'kek-2:AES', keys: 'kek-2' }
    expect(await init(site, flags, ['--yes', '--apply'])).toMatchObject({ code: 0, stderr: '' })
    const expected = written
      .replace('pathPrefix: azureekm/contoso', 'pathPrefix: azureekm/other')
      .replace('kek-1:', 'kek-2:')
    expect(await readFile(site.config, 'utf8')).toBe(expected)
    expect(await readFile(`${site.config}.previous`, 'utf8')).toBe(written)
  })
})

describe('init with a file that no answer makes right', () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSiteWithStore()
  })
  afterAll(() => site.remove())

  it.each([
    [
      'an unknown setting',
      'log: {}\nwrkers: 3\n',
      /gateway\.yaml:2: wrkers is not a known setting.*did you mean workers\?/,
    ],
    [
      'another type',
      'log: {}\nbackends: []\npools: 7\n',
      /gateway\.yaml:2: backends must be .*\n.*gateway\.yaml:3: pools must be a list/,
    ],
    ['no mapping at all', 'just text\n', /gateway\.yaml:1: must be a mapping/],
  ])('asks nothing: %s', async (_what, text, says) => {
    await site.workspace.write('gateway.yaml', text)
    const { code, stdout, stderr } = await init(site, software, ['--yes', '--apply'])
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(says) as string })
    expect(await readFile(site.config, 'utf8')).toBe(text)
  })

  it('takes an empty one for one that is yet to be written', async () => {
    await site.workspace.write('gateway.yaml', '# soon\n')
    expect(await init(site, software, ['--yes', '--apply'])).toMatchObject({ code: 0, stderr: '' })
    expect(await readFile(site.config, 'utf8')).toMatch(/^# soon\n/)
  })
})

describe('init with a certificate for a trial that is there', { timeout: 120_000 }, () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSiteWithStore()
    expect(await init(site, { ...software, keys: 'none' }, ['--yes'])).toMatchObject({ code: 1 })
  })
  afterAll(() => site.remove())
  const path = (name: string) => site.workspace.path(name)

  it('keeps it, and says what to do where it is for another name', async () => {
    const before = await readFile(path('server.pem'), 'utf8')
    const { code, stderr } = await init(site, { ...software, 'host-name': 'ekm.example.net' }, ['--yes'])
    const files = ['server.pem', 'server.key', 'server-ca.pem'].map(path).join(' ')
    expect(code).toBe(1)
    expect(stderr).toContain(`does not name ekm.example.net, but DNS:localhost`)
    expect(stderr).toContain(`; to have others made, move these away: ${files}\n`)
    expect(await readFile(path('server.pem'), 'utf8')).toBe(before)
  })

  it('says what stands in the way where a run was cut off', async () => {
    await site.workspace.discard('server.key')
    const { code, stderr } = await init(site, software, ['--yes'])
    expect(code).toBe(1)
    expect(stderr).toContain(
      'server-ca.pem cannot be made (EEXIST): it is there, and no file is replaced; move it away',
    )
  })
})

describe('init with a request for a certificate', () => {
  let site: Site
  beforeAll(async () => {
    site = await makeSiteWithStore()
  })
  afterAll(() => site.remove())

  it('makes key and request, and writes a configuration that waits for the certificate', async () => {
    const ended = await init(site, { ...software, 'server-certificate': 'request', 'host-name': 'ekm.example.com' }, [
      '--yes',
    ])
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toContain(`Send ${site.workspace.path('server.csr')} to your CA`)
    const request = new x509.Pkcs10CertificateRequest(await readFile(site.workspace.path('server.csr'), 'utf8'))
    expect(await request.verify()).toBe(true)
    expect(request.subject).toBe('CN=ekm.example.com')
    const [names] = request.extensions.filter((extension) => extension instanceof x509.SubjectAlternativeNameExtension)
    expect(names?.names.toJSON()).toEqual([{ type: 'dns', value: 'ekm.example.com' }])
    expect(await readFile(site.config, 'utf8')).toContain('certificate: server.pem')
  })
})
