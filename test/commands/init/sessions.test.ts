import { readFile, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startPyKmip, type PyKmip } from '../../kmip/pykmip.ts'
import { asBuffer } from '../../../adapters/contract/index.ts'
import { MODULE, PIN } from '../../pkcs11/support/softhsm.ts'
import { run } from '../cli.ts'
import { Dialogue } from './dialogue.ts'
import { init, makeSite, wrapOnce, type Site } from './site.ts'
import { tokenSite } from './token-site.ts'

/** The target: from nothing to a first wrapped key, with no page read. */
const TARGET_S = 180
/** Of that, for the machine: several times what it takes when it has nothing else to do. */
const MACHINE_S = 20
const PATIENCE_MS = 2000 * TARGET_S

/** Options that are not asked for, so that gateways of tests do not meet. */
const OWN_PORTS = ['--listen-host', '127.0.0.1', '--admin-port', 'none']

/** What is asked whatever the backend is. */
async function answerFirst(dialogue: Dialogue, { port }: Site): Promise<void> {
  await dialogue.answer('Name of your Managed HSM', 'contoso')
  await dialogue.answer('Public host name', 'localhost')
  await dialogue.answer('Port to listen on', port)
  await dialogue.answer('Where the server certificate comes from', 'trial')
  await dialogue.answer('File with the output of az', '')
}

/** Waits for the session's end and wraps a data key, within the time that an operator has. */
async function wrapInTime(
  dialogue: Dialogue,
  wrap: () => Promise<void>,
  annotate: (message: string) => Promise<unknown>,
): Promise<void> {
  expect({ status: await dialogue.ended, text: dialogue.text }).toMatchObject({ status: 0 })
  await wrap()
  const { machine, reading, typing } = dialogue.seconds
  const [machineS, readingS, typingS] = [machine, reading, typing].map((seconds) => seconds.toFixed(0))
  await annotate(`machine ${machineS} s, reading ${readingS} s, typing ${typingS} s`)
  // A machine that does much else proves nothing by its own part.
  expect(reading + typing).toBeLessThan(TARGET_S - MACHINE_S)
}

describe('init, from nothing to a first wrapped key', { timeout: PATIENCE_MS }, () => {
  let site: Site
  let dialogue: Dialogue | undefined
  beforeAll(async () => {
    site = await makeSite()
  })
  afterAll(async () => {
    dialogue?.kill()
    await site.remove()
  })

  it('asks at a terminal, with a software store', async ({ annotate }) => {
    dialogue = new Dialogue(['init', ...OWN_PORTS], site.workspace.directory)
    await dialogue.answer('Name of your Managed HSM', 'x')
    await dialogue.answer('Name of your Managed HSM', 'contoso')
    await dialogue.answer('Public host name', 'localhost')
    await dialogue.answer('Port to listen on', '0')
    await dialogue.answer('Port to listen on', site.port)
    await dialogue.answer('Where the server certificate comes from', '3')
    await dialogue.answer('File with the output of az', '')
    await dialogue.answer('Where the keys are', '1')
    await dialogue.answer('Directory of the key store [keys]', '')
    await dialogue.answer('File of the passphrase', '')
    await dialogue.answer('Keys to make', 'kek 1:AES')
    await dialogue.answer('Keys to make', 'kek-1:AES')
    await dialogue.answer('Keys that Azure may use', 'kek-1')
    await wrapInTime(dialogue, () => wrapOnce(site, 'kek-1', 'A256KWP'), annotate)

    const { text } = dialogue
    expect(text).toContain('no: the name of a Managed HSM has 3 to 24 letters')
    expect(text).toContain('no: 0 is no port: write a number from 1 to 65535')
    expect(text).toContain('no: kek 1:AES is no key to make')
    expect(text).toContain('kek-1: a data key was wrapped with it, and came back: A256KW, A256KWP')
    const ca = site.workspace.path('server-ca.pem')
    expect(text).toContain(
      `az keyvault ekm-connection create --hsm-name contoso --host localhost --server-ca-certificate ${ca} --path-prefix /azureekm/contoso`,
    )
    expect(text).toContain('az keyvault key create --hsm-name contoso --name kek-1 --external-key-id kek-1')
    const passphrase = (await readFile(site.workspace.path('passphrase'), 'utf8')).trim()
    expect(text + (await readFile(site.config, 'utf8'))).not.toContain(passphrase)
    for (const [name, mode] of [
      ['passphrase', 0o600],
      ['server.key', 0o600],
      ['gateway.yaml', 0o644],
    ] as const) {
      expect([name, (await stat(site.workspace.path(name))).mode & 0o777]).toEqual([name, mode])
    }
    expect(await run(['config', 'validate', '--config', site.config])).toMatchObject({ code: 0, stderr: '' })
  })
})

describe('init with a token, from nothing to a first wrapped key', { timeout: PATIENCE_MS }, () => {
  const own = tokenSite('other')
  const { environment } = own

  it('shows its tokens and its keys, and lets the operator choose', async ({ annotate }) => {
    const { site } = own
    const dialogue = own.begin(OWN_PORTS)
    await answerFirst(dialogue, site)
    await dialogue.answer('Where the keys are', 'pkcs11')
    await dialogue.answer("The vendor's PKCS#11 library", '/usr/lib/none.so')
    await dialogue.answer("The vendor's PKCS#11 library", MODULE)
    await dialogue.answer('Label or serial number of the token', 'ekm')
    await dialogue.answer("File that holds the user's PIN", 'no-such-file')
    await site.workspace.write('pin', `${PIN}\n`)
    await dialogue.answer("File that holds the user's PIN", '')
    await dialogue.answer('Keys to make', '')
    await dialogue.answer('Keys that Azure may use', 'payroll-2027=1')
    await wrapInTime(dialogue, () => wrapOnce(site, 'payroll-2027', 'A256KW', environment), annotate)

    const { text } = dialogue
    const pin = site.workspace.path('pin')
    expect(text).toContain(
      `No secret is typed here. In another terminal: (umask 077; IFS= read -rs SECRET; printf %s "$SECRET" > ${pin})`,
    )
    expect(text).toContain('no: there is no readable PKCS#11 module at /usr/lib/none.so')
    expect(text).toMatch(/^ +\d {2}other +SoftHSM v2, serial /m)
    expect(text).toContain('logged in: SoftHSM project, SoftHSM v2')
    expect(text).toMatch(/^ +1 {2}aes +oct 256 +A256KW, A256KWP$/m)
    expect(text + (await readFile(site.config, 'utf8'))).not.toContain(PIN)
  })
})

describe('init with a key manager, from nothing to a first wrapped key', { timeout: PATIENCE_MS }, () => {
  let site: Site
  let server: PyKmip
  let dialogue: Dialogue | undefined
  beforeAll(async () => {
    site = await makeSite()
    server = await startPyKmip()
    const { tls } = server.options
    await site.workspace.write('kms-ca.pem', tls.ca)
    await site.workspace.write('kms.pem', tls.certificate)
    const key = asBuffer(tls.key.reveal())
    await site.workspace.write('kms.key', key)
    await site.workspace.write('client-ca.pem', server.pki.clientCa.certificate)
    await site.workspace.write('stranger.pem', site.pki.client.certificate)
    await site.workspace.write('stranger.key', site.pki.client.key)
  }, 90_000)
  afterAll(async () => {
    dialogue?.kill()
    await server.stop()
    await site.remove()
  })

  const flags = (changes: Readonly<Record<string, string>> = {}) => ({
    backend: 'kmip',
    'kmip-server': `127.0.0.1:${server.port}`,
    'kmip-ca': 'kms-ca.pem',
    'kmip-certificate': 'kms.pem',
    'kmip-key': 'kms.key',
    'create-key': 'kek-1:AES',
    ...changes,
  })

  it('reaches it, makes a key there, and lets the operator choose', async ({ annotate }) => {
    dialogue = new Dialogue(['init', ...OWN_PORTS], site.workspace.directory)
    await answerFirst(dialogue, site)
    await dialogue.answer('Where the keys are', '3')
    await dialogue.answer('The key manager', 'kms')
    await dialogue.answer('PEM file of the CA', 'kms-ca.pem')
    await dialogue.answer("PEM file of the gateway's certificate", 'kms.pem')
    await dialogue.answer("PEM file of that certificate's private key", 'stranger.key')
    await dialogue.answer("PEM file of that certificate's private key", 'kms.key')
    await dialogue.answer('User name', '')
    await dialogue.answer('The key manager', `127.0.0.1:${server.port}`)
    await dialogue.answer('PEM file of the CA', '')
    await dialogue.answer("PEM file of the gateway's certificate", '')
    await dialogue.answer("PEM file of that certificate's private key", '')
    await dialogue.answer('User name', '')
    await dialogue.answer('Keys to make', 'kek-1:AES')
    await dialogue.answer('Keys that Azure may use', '')
    await wrapInTime(dialogue, () => wrapOnce(site, 'kek-1', 'A256KW'), annotate)

    const { text } = dialogue
    expect(text).toContain('no: the key does not belong to the certificate')
    expect(text).toMatch(/no: .*kms:5696: the address does not answer/)
    expect(text).toContain('kek-1: a data key was wrapped with it, and came back: A256KW')
    expect(await run(['config', 'validate', '--config', site.config])).toMatchObject({ code: 0, stderr: '' })
  })

  it('takes every answer from the command line', async () => {
    expect(await init(site, flags(), ['--yes'])).toMatchObject({ code: 0, stderr: '' })
  })

  it.each([
    ['the address', { 'kmip-server': '127.0.0.1:1' }, /the address does not answer: .*\(address: ECONNREFUSED\)/],
    [
      "the server's certificate",
      { 'kmip-ca': 'client-ca.pem' },
      /the server's certificate is not what kmip-ca leads to/,
    ],
    [
      "the gateway's certificate",
      { 'kmip-certificate': 'stranger.pem', 'kmip-key': 'stranger.key' },
      /it refuses the gateway's certificate: have its administrator trust/,
    ],
  ])('names %s as the fault', async (_what, changes, says) => {
    const before = await readFile(site.config, 'utf8')
    const { code, stderr } = await init(site, flags(changes), ['--yes'])
    expect(code).toBe(1)
    expect(stderr).toMatch(says)
    expect(await readFile(site.config, 'utf8')).toBe(before)
  })
})
