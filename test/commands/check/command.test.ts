import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { PrivateJwk } from '../../../adapters/software/stored-key.ts'
import { freePort } from '../../kmip/pykmip.ts'
import { findCanaries, type Canaries } from '../../support/canaries.ts'
import { aesKey, PASSPHRASE } from '../../support/gateway.ts'
import { CLIENT_CN } from '../../support/pki.ts'
import { expectRefusal, run } from '../cli.ts'
import { accepts } from '../serving.ts'
import { fingerprint, FQDN, makeSite, type Site } from './site.ts'

const kek = randomBytes(32)
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })

let site: Site
let port: number
let config: string
beforeAll(async () => {
  const keys = [aesKey('aes-1', kek), { name: 'rsa-1', jwk: rsa as PrivateJwk }]
  site = await makeSite([], keys, { 'aes-1': {}, 'rsa-1': {} })
  port = await freePort()
  // The report judges no times, because the machine has other work.
  config = await site.write({ listen: { port }, limits: { deadlineMs: 10_000 } })
  await site.workspace.write('root.pem', site.pki.serverRoot.certificate)
  const caCertificates = [new X509Certificate(site.pki.clientRoot.certificate).raw.toString('base64')]
  await site.workspace.write('azure.json', JSON.stringify({ caCertificates, subjectCommonName: CLIENT_CN }))
})
afterAll(() => site.workspace.remove())

const fromPem = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')

interface Printed {
  readonly format: number
  readonly passed: boolean
  readonly counts: Readonly<Record<string, number>>
  readonly findings: readonly Readonly<Record<string, unknown>>[]
}

describe('check of a gateway that is well', () => {
  const question = () => [
    ...['--config', config, '--fqdn', FQDN, '--server-ca', site.workspace.path('root.pem')],
    ...['--azure-certificate', site.workspace.path('azure.json')],
  ]

  it('ends with status 0, changes nothing, leaves nothing open and prints no secret', async () => {
    const before = await fingerprint(site.workspace.directory)
    const text = await run(['check', ...question()])
    const json = await run(['check', ...question(), '--format', 'json'])
    expect([text.code, text.stderr, json.code, json.stderr]).toEqual([0, '', 0, ''])
    expect(await fingerprint(site.workspace.directory)).toEqual(before)
    expect(await accepts(port)).toBe(false)

    const printed = JSON.parse(json.stdout) as Printed
    expect(printed).toMatchObject({ format: 1, passed: true, counts: { problem: 0 } })
    const said = (status: string) => printed.findings.filter((finding) => finding['status'] === status)
    // Only systemd knows whether the clock is synchronised. Nobody knows who runs the tests.
    const open: readonly unknown[] = ['clock.synchronised', 'configuration.user']
    const known = ({ id }: Printed['findings'][number]) => !open.includes(id)
    expect(
      said('warning')
        .filter(known)
        .map(({ id }) => id),
    ).toEqual(['backend.kind'])
    expect(
      said('not checked')
        .filter(known)
        .map(({ id }) => id),
    ).toEqual(['clients.revocation'])
    expect(printed.findings[0]).toMatchObject({ id: 'configuration.valid', checked: expect.any(String) as string })

    const lines = text.stdout.split('\n').filter((line) => /^ {2}\S/.test(line))
    expect(lines).toHaveLength(printed.findings.length)
    for (const line of lines) expect(line).toMatch(/^ {2}[✓!✗-] [a-z]+\.[a-z-]+ +\S/)
    expect(text.stdout).toMatch(/\n0 problems, \d+ warnings?, \d+ ok, \d+ not checked in \d+\.\d s\n$/)

    const canaries: Canaries = {
      kek,
      passphrase: Buffer.from(PASSPHRASE),
      'server key': fromPem(site.pki.server.key),
      'RSA d': Buffer.from(String(rsa.d), 'base64url'),
      'RSA p': Buffer.from(String(rsa.p), 'base64url'),
    }
    expect(findCanaries(text.stdout + json.stdout, canaries)).toEqual([])
  })
})

describe('the exit status of check', () => {
  it('is 1 for problems, in the text and for programs', async () => {
    const { workspace, pool } = site
    const broken = await site.write({ pools: [{ ...pool, keys: { 'aes-9': {} } }] }, 'broken.yaml')
    const only = ['--only', 'key', '--only', 'backend.open']
    const ended = await run(['check', '--config', broken, ...only], { cwd: workspace.directory })
    expect([ended.code, ended.stderr]).toEqual([1, ''])
    expect(ended.stdout).toMatch(/✗ key\.found +contoso\/aes-9: not there: .* -> did you mean aes-1\?/)
    expect(ended.stdout).toMatch(/\n1 problem, 1 warning, 1 ok, 0 not checked/)
  })

  it.each([
    [['--config', 'nowhere.yaml'], /^ekm-gateway check: nowhere\.yaml cannot be read \(ENOENT\)$/],
    [['--config', '/dev/zero'], /^ekm-gateway check: \/dev\/zero cannot be read \(ENODEV\)$/],
    [
      ['--config', 'gateway.yaml', '--azure-certificate', '/dev/zero'],
      /--azure-certificate \/dev\/zero: the file cannot be read \(ENODEV\)$/,
    ],
    [['--fqdn', FQDN], /required option '--config <file>'/],
    [['--config', 'gateway.yaml', '--fqdn', 'https://ekm.example.com/'], /^ekm-gateway check: --fqdn must be a host/],
    [['--config', 'gateway.yaml', '--only', 'key.colour'], /--only key\.colour: no check has this id/],
    [['--config', 'gateway.yaml', '--only', 'key.rond-trip'], /; did you mean key\.round-trip\?$/],
    [['--config', 'gateway.yaml', '--only', 'keys'], /; did you mean key\?$/],
    [['--config', 'gateway.yaml', '--server-ca', 'passphrase'], /passphrase does not hold certificates in PEM or DER/],
  ])('is 2 for %o', async (args, says) => {
    const ended = await run(['check', ...args], { cwd: site.workspace.directory })
    const [stderr = ''] = ended.stderr.split('\n')
    expectRefusal({ ...ended, stderr }, says, 2)
    expect(ended.stderr).not.toContain(PASSPHRASE)
  })
})
