import { readFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { makeLongPki, openssl, FQDN } from '../check/site.ts'
import { MODULE, PIN } from '../../pkcs11/support/softhsm.ts'
import { run } from '../cli.ts'
import { Dialogue } from './dialogue.ts'
import { argumentsOf, init, makeSiteWithStore, usual, wrapOnce, type Flags, type Site } from './site.ts'
import { tokenSite } from './token-site.ts'

const PASSPHRASE = 'horse battery staple'
const software: Flags = { backend: 'software', 'create-key': 'kek-1:AES', keys: 'kek-1' }

let site: Site
const written = async () => parse(await readFile(site.config, 'utf8')) as Record<string, unknown>
const tlsWritten = async () => (await written())['listen'] as { readonly tls: unknown }

async function makeOwnSite(): Promise<void> {
  site = await makeSiteWithStore()
  const { workspace } = site
  const pki = await makeLongPki()
  await workspace.write('right', `${PASSPHRASE}\n`)
  await workspace.write('wrong', 'not that\n')
  await workspace.write('root.pem', pki.serverRoot.certificate)
  await workspace.write('issuer.pem', pki.serverIssuer.certificate)
  await workspace.write('leaf.pem', pki.server.certificate)
  await workspace.write('chain.pem', pki.server.certificate + pki.serverIssuer.certificate)
  await workspace.write('plain.key', pki.server.key)
  openssl(workspace, 'pkey', '-aes256', '-in', 'plain.key', '-out', 'locked.key', '-passout', 'file:right')
  const bundle = ['pkcs12', '-export', '-inkey', 'plain.key', '-in', 'leaf.pem', '-certfile', 'issuer.pem']
  openssl(workspace, ...bundle, '-out', 'locked.p12', '-passout', 'file:right')
  openssl(workspace, ...bundle, '-out', 'open.p12', '-passout', 'pass:')
  openssl(workspace, ...bundle, '-out', 'old.p12', '-passout', 'file:right', '-legacy')
}

/** Answers what is asked after the server's identity, and expects that a configuration is written. */
async function answerTheRest(dialogue: Dialogue): Promise<void> {
  await dialogue.answer("PEM file of the server certificate's root CA", 'root.pem')
  await dialogue.answer('Directory of the key store', '')
  await dialogue.answer('File of the passphrase that encrypts it', '')
  expect({ status: await dialogue.ended, text: dialogue.text }).toMatchObject({ status: 0 })
}

describe('init with an identity that a passphrase opens', { timeout: 240_000 }, () => {
  let dialogue: Dialogue | undefined
  beforeAll(makeOwnSite)
  afterEach(async () => {
    dialogue?.kill()
    await site.workspace.discard('gateway.yaml')
  })
  afterAll(() => site.remove())

  const flags = (more: Flags = {}): Flags => ({
    ...usual,
    port: site.port,
    ...software,
    'host-name': FQDN,
    'server-certificate': 'own',
    'az-file': 'azure-client.json',
    ...more,
  })
  const atTerminal = (more: Flags = {}, environment = {}) =>
    new Dialogue(['init', ...argumentsOf(flags(more))], site.workspace.directory, environment)

  it('asks for the passphrase of an encrypted key, and not before the key is known to be encrypted', async () => {
    dialogue = atTerminal()
    await dialogue.answer('File of the server certificate', 'chain.pem')
    await dialogue.answer('PEM file of its private key', 'locked.key')
    await dialogue.answer('File that holds the passphrase of the key', 'wrong')
    await dialogue.answer('PEM file of its private key [locked.key]', '')
    await dialogue.answer('File that holds the passphrase of the key', 'right')
    await answerTheRest(dialogue)
    expect(dialogue.text).toContain('no: the passphrase is wrong')
    expect((await tlsWritten()).tls).toEqual({
      certificate: 'chain.pem',
      key: 'locked.key',
      passphrase: { file: 'right' },
    })
    expect(dialogue.text + (await readFile(site.config, 'utf8'))).not.toContain(PASSPHRASE)
  })

  it('opens a PKCS#12 file, and judges what a server with it would send', async () => {
    dialogue = atTerminal({ 'host-name': 'ekm.example.net' })
    await dialogue.answer('File of the server certificate', 'locked.p12')
    await dialogue.answer('File that holds the passphrase', 'right')
    await dialogue.answer('File of the server certificate', 'plain.key')
    dialogue.kill()
    expect(dialogue.text).toMatch(/no: the certificate does not name ekm\.example\.net, but DNS:ekm\.example\.com/)

    dialogue = atTerminal({}, { EKM_P12: PASSPHRASE })
    await dialogue.answer('File of the server certificate', 'locked.p12')
    await dialogue.answer('File that holds the passphrase', 'env:EKM_NONE')
    await dialogue.answer('File that holds the passphrase', 'env:EKM_P12')
    await answerTheRest(dialogue)
    expect((await tlsWritten()).tls).toEqual({ pkcs12: 'locked.p12', passphrase: { env: 'EKM_P12' } })
    expect(dialogue.text).toContain('On this machine, with EKM_P12 in the environment:')
    expect(dialogue.text + (await readFile(site.config, 'utf8'))).not.toContain(PASSPHRASE)
    const checked = ['check', '--config', site.config, '--only', 'certificate', '--fqdn', FQDN]
    const { code, stdout } = await run(checked, { environment: { EKM_P12: PASSPHRASE } })
    expect({ code, stdout }).toMatchObject({ code: 0 })
  })

  it('does not ask for a passphrase that is not needed', async () => {
    const open = flags({ certificate: 'open.p12', 'server-ca': 'root.pem' })
    expect(await init(site, open, ['--yes'])).toMatchObject({ code: 0, stderr: '' })
    expect((await tlsWritten()).tls).toEqual({ pkcs12: 'open.p12' })
  })

  it('proposes the same again, the host name of a PKCS#12 file among it', async () => {
    const locked = flags({ certificate: 'locked.p12', 'server-passphrase-file': 'right', 'server-ca': 'root.pem' })
    expect(await init(site, locked, ['--yes'])).toMatchObject({ code: 0, stderr: '' })
    const again = await run(['init', '--yes', '--server-ca', 'root.pem'], { cwd: site.workspace.directory })
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).toContain('says all of this already: nothing is changed')

    const pem = flags({ certificate: 'chain.pem', key: 'locked.key', 'server-passphrase-file': 'right' })
    const moved = await init(site, { ...pem, 'server-ca': 'root.pem' }, ['--yes', '--apply'])
    expect(moved).toMatchObject({ code: 0, stderr: '' })
    expect((await tlsWritten()).tls).toEqual({
      certificate: 'chain.pem',
      key: 'locked.key',
      passphrase: { file: 'right' },
    })
  })

  it.each<readonly [string, Flags, RegExp]>([
    [
      'a passphrase that is missing',
      { certificate: 'locked.p12' },
      /^ekm-gateway: --server-passphrase-file is missing: file that holds the passphrase/,
    ],
    [
      'a wrong passphrase',
      { certificate: 'locked.p12', 'server-passphrase-file': 'wrong' },
      /^ekm-gateway: --certificate: the passphrase is wrong, or the file is not a PKCS#12 file/,
    ],
    [
      'a variable that is not set',
      { certificate: 'locked.p12', 'server-passphrase-env': 'EKM_NONE' },
      /^ekm-gateway: --server-passphrase-env: the answer names a variable that is not set; set it before init is started/,
    ],
    [
      'two places of one secret',
      { certificate: 'locked.p12', 'server-passphrase-env': 'EKM_P12', 'server-passphrase-file': 'right' },
      /^ekm-gateway: --server-passphrase-file and --server-passphrase-env are both given/,
    ],
    [
      'a secret in the place of its file, and does not repeat it',
      { certificate: 'locked.p12', 'server-passphrase-file': PASSPHRASE },
      /^ekm-gateway: --server-passphrase-file: the answer names a file that cannot be read \(ENOENT\)/,
    ],
    [
      'a PKCS#12 file that OpenSSL no longer reads',
      { certificate: 'old.p12', 'server-passphrase-file': 'right' },
      /^ekm-gateway: --certificate: the PKCS#12 file is encrypted in a way that OpenSSL 3 no longer reads/,
    ],
  ])('refuses %s', async (_what, more, says) => {
    const { code, stdout, stderr } = await init(site, flags({ ...more, 'server-ca': 'root.pem' }), ['--yes'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(says) as string })
    expect(stdout + stderr).not.toContain(PASSPHRASE)
  })
})

describe('init with a PIN in the environment', () => {
  const own = tokenSite()
  const environment = { ...own.environment, HSM_PIN: PIN }
  beforeAll(() => {
    site = own.site
  })
  const token: Flags = { backend: 'pkcs11', module: MODULE, token: 'ekm', keys: 'aes' }

  it('writes down the name of its variable, and wraps', async () => {
    const args = argumentsOf({
      ...usual,
      port: own.site.port,
      ...token,
      'az-file': 'azure-client.json',
      'create-key': '',
    })
    const dialogue = own.begin(args, environment)
    await dialogue.answer("File that holds the user's PIN; or env:NAME", 'env:HSM_PIN')
    expect({ status: await dialogue.ended, text: dialogue.text }).toMatchObject({ status: 0 })
    expect(await written()).toMatchObject({ backends: { hsm: { pin: { env: 'HSM_PIN' } } } })
    expect(dialogue.text + (await readFile(site.config, 'utf8'))).not.toContain(PIN)
    await wrapOnce(site, 'aes', 'A256KW', environment)
  })

  it('takes it from a flag too, and again from the file', async () => {
    const again = await init(site, { ...token, 'pin-env': 'HSM_PIN' }, ['--yes'], environment)
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).toContain('nothing is changed')
    expect(await init(site, token, ['--yes'], environment)).toMatchObject({ code: 0, stderr: '' })
  })
})
