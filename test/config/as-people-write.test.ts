import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { CLIENT_CN } from '../support/pki.ts'
import { CANARY, GOOD, makeSite, PASSPHRASE, problemsOf, type Site } from './site.ts'

// Files as editors, shells, portals and old tools write them.

let site: Site
beforeAll(async () => {
  site = await makeSite()
  await site.workspace.write('again', PASSPHRASE)
})
afterAll(() => site.workspace.remove())

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: site.workspace.directory, stdio: 'pipe' })
// If both passphrases are in one file, OpenSSL reads the second one from the second line.
const pass = ['-passin', 'file:passphrase', '-passout', 'file:again']
const legacy = ['-provider', 'legacy', '-provider', 'default']
const bytes = (...parts: readonly (string | Buffer)[]) => Buffer.concat(parts.map((part) => Buffer.from(part)))
const bom = '\ufeff'
const utf16 = (text: string) => Buffer.from(text, 'utf16le')
const load = async (from: string, to: string) => loadConfig(await site.write(GOOD.replace(from, to)), {})
const messages = async (from: string, to: string) =>
  problemsOf(await site.write(GOOD.replace(from, to))).map(({ message }) => message)

describe('a secret’s file is refused, before a login is spent on it,', () => {
  it.each<[what: string, content: Buffer, says: RegExp]>([
    ['in UTF-16', utf16(bom + PASSPHRASE + '\r\n'), /is in UTF-16, as PowerShell's > writes it/],
    ['in UTF-16 of the other order', utf16(bom + PASSPHRASE).swap16(), /is in UTF-16/],
    ['in UTF-16 without a mark', utf16(PASSPHRASE), /is in UTF-16/],
    ['with a byte order mark', bytes(bom, PASSPHRASE), /begins with a byte order mark/],
    ['with a second newline', bytes(PASSPHRASE, '\n\n'), /ends with more than one newline/],
    ['with a second newline of Windows', bytes(PASSPHRASE, '\r\n\r\n'), /ends with more than one newline/],
    ['with a blank behind it', bytes(PASSPHRASE, ' \n'), /white space before or after the secret/],
    ['with a tab in front', bytes('\t', PASSPHRASE), /white space before or after the secret/],
    ['in double quotes', bytes('"', PASSPHRASE, '"\n'), /has quotes around the secret/],
    ['in single quotes', bytes("'", PASSPHRASE, "'"), /has quotes around the secret/],
  ])('%s', async (_what, content, says) => {
    await site.workspace.write('flawed', content)
    const told = await messages('{ file: passphrase }', '{ file: flawed }')
    expect(told).toEqual([expect.stringMatching(says)])
    expect(told[0]).toMatch(/write the secret alone: printf %s 'SECRET' > FILE; .* \{ env: NAME \}$/)
    expect(told[0]).not.toContain(CANARY)
  })

  it.each<[what: string, content: Buffer]>([
    ['a blank inside', bytes('correct horse')],
    ['one quote', bytes('"horse\n')],
    ['a quote alone', bytes('"')],
    ['accents', bytes('pässwörd\n')],
    ['random bytes that end with a blank', bytes(Buffer.of(0x80, 0x01, 0x20))],
    ['a newline of Windows', bytes('horse\r\n')],
  ])('and not for %s', async (_what, content) => {
    await site.workspace.write('good', content)
    expect(await messages('{ file: passphrase }', '{ file: good }')).toEqual([])
  })
})

describe('what az printed is read', () => {
  const casOf = async (file: string) => {
    const [pool] = (await load('azure.json', file)).pools
    return pool?.clients.flatMap(({ roots, intermediates }) =>
      [...roots, ...intermediates].map(({ subject }) => subject),
    )
  }

  it.each<[what: string, encode: (text: string) => Buffer]>([
    ['in UTF-16, of PowerShell 5.1', (text) => utf16(bom + text.replaceAll('\n', '\r\n'))],
    ['in UTF-16 of the other order', (text) => utf16(bom + text).swap16()],
    ['with a byte order mark', (text) => bytes(bom, text)],
  ])('%s', async (_what, encode) => {
    const text = JSON.stringify(
      {
        subjectCommonName: CLIENT_CN,
        caCertificates: [new X509Certificate(openssl('x509', '-in', 'root.pem')).raw.toString('base64')],
      },
      undefined,
      2,
    )
    await site.workspace.write('encoded.json', encode(text))
    expect(await casOf('encoded.json')).toEqual(['CN=test client CA'])
  })

  it('with every certificate of a bundle in base64', async () => {
    const entry = openssl('storeutl', '-certs', 'bundle.pem').toString('base64')
    await site.workspace.write('bundle.json', JSON.stringify({ subjectCommonName: CLIENT_CN, caCertificates: [entry] }))
    expect(await casOf('bundle.json')).toEqual(['CN=test client CA', 'CN=issuing CA'])
  })

  it('not with something behind a certificate', async () => {
    const der = openssl('x509', '-in', 'root.pem', '-outform', 'der')
    const entry = bytes(der, der.subarray(0, 100)).toString('base64')
    await site.workspace.write('more.json', JSON.stringify({ subjectCommonName: CLIENT_CN, caCertificates: [entry] }))
    expect(await messages('azure.json', 'more.json')).toEqual([expect.stringContaining('is not the output of az')])
  })
})

it('a configuration and a certificate are read in UTF-16', async () => {
  await site.workspace.write('wide.pem', utf16(bom + openssl('x509', '-in', 'server.pem').toString()))
  const yaml = GOOD.replace('server.pem', 'wide.pem')
  await site.workspace.write('wide.yaml', utf16(bom + yaml))
  expect(problemsOf(site.workspace.path('wide.yaml'))).toEqual([])
})

describe('an old encryption is named for what it is:', () => {
  it.each([
    ['PKCS#8 with RC2', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-RC2-40']],
    ['PKCS#8 with MD5 and DES', ['pkcs8', '-topk8', '-v1', 'PBE-MD5-DES']],
    ['DES, in the form of old OpenSSL', ['rsa', '-traditional', '-des']],
  ])('%s of a key', async (_what, [command = '', ...args]) => {
    openssl(command, ...args, ...legacy, '-in', 'rsa.key', '-out', 'old.key', '-passout', 'file:passphrase')
    const tls = 'tls: { certificate: rsa.pem, key: old.key, passphrase: { file: passphrase } }'
    const [told = ''] = await messages('tls: { certificate: server.pem, key: server.key }', tls)
    expect(told).toMatch(/the key is encrypted in a way that OpenSSL 3 no longer reads/)
    const [, advised = ''] = /with openssl (.*)$/.exec(told) ?? []
    openssl(...advised.replace('OLD.key', 'old.key').replace('NEW.key', 'new.key').split(' '), ...pass)
    expect(
      await messages('tls: { certificate: server.pem, key: server.key }', tls.replace('old.key', 'new.key')),
    ).toEqual([])
  })

  it('RC2 of a PKCS#12 file, which the advice reads', async () => {
    openssl('pkcs12', '-export', '-legacy', '-inkey', 'rsa.key', '-in', 'rsa.pem', '-out', 'old.p12', ...pass.slice(2))
    const tls = 'tls: { pkcs12: old.p12, passphrase: { file: passphrase } }'
    const [told = ''] = await messages('tls: { certificate: server.pem, key: server.key }', tls)
    const [, read = '', write = ''] = /with openssl (.*), and make it anew with openssl (.*)$/.exec(told) ?? []
    const run = (line: string) =>
      openssl(...line.replace('OLD.p12', 'old.p12').replace('NEW.p12', 'new.p12').split(' '), ...pass)
    run(read)
    run(write)
    expect(
      await messages('tls: { certificate: server.pem, key: server.key }', tls.replace('old.p12', 'new.p12')),
    ).toEqual([])
  })
})

describe('a server’s key that TLS 1.3 cannot sign with is refused:', () => {
  const request = [
    'req',
    '-x509',
    '-nodes',
    '-newkey',
    'ec',
    '-subj',
    '/CN=localhost',
    '-keyout',
    'ec.key',
    '-out',
    'ec.pem',
  ]
  const withKey = (...options: string[]) => openssl(...request, ...options.flatMap((option) => ['-pkeyopt', option]))

  it.each<[what: string, options: string[], says: RegExp]>([
    ['secp256k1', ['ec_paramgen_curve:secp256k1'], /no signatures with the curve secp256k1: use P-256/],
    ['secp224r1', ['ec_paramgen_curve:secp224r1'], /no signatures with the curve secp224r1/],
    ['explicit parameters', ['ec_paramgen_curve:P-256', 'ec_param_enc:explicit'], /given by explicit parameters/],
  ])('%s, as PEM and as PKCS#12', async (_what, options, says) => {
    withKey(...options)
    openssl('pkcs12', '-export', '-inkey', 'ec.key', '-in', 'ec.pem', '-out', 'ec.p12', '-passout', 'pass:')
    for (const members of ['certificate: ec.pem, key: ec.key', 'pkcs12: ec.p12']) {
      const told = await messages('certificate: server.pem, key: server.key', members)
      expect(told).toEqual([expect.stringMatching(says)])
    }
  })

  it.each(['P-256', 'P-384', 'P-521'])('and not %s', async (curve) => {
    withKey(`ec_paramgen_curve:${curve}`)
    expect(await messages('certificate: server.pem, key: server.key', 'certificate: ec.pem, key: ec.key')).toEqual([])
  })
})

describe('names that look like numbers', () => {
  it('are what was written', async () => {
    const names = ['0123', '007', '1e3', '0x1F', '0o17', '12', 'true', 'null', '"0042"']
    const config = await load('keys: all', `keys: { ${names.map((name) => `${name}: {}`).join(', ')} }`)
    const keys = Object.keys(config.pools[0]?.keys ?? {})
    expect(keys.sort()).toEqual(['0042', ...names.slice(0, -1)].sort())
  })

  it('are told apart, and told twice', async () => {
    expect(await messages('keys: all', 'keys: { 0123: {}, 123: {} }')).toEqual([])
    expect(await messages('keys: all', 'keys: { 0123: {}, "0123": {} }')).toEqual([
      expect.stringContaining('duplicate key'),
    ])
  })

  it('are told with their line', async () => {
    const yaml = GOOD.replace('keys: all', 'keys:\n      0123: {}\n      1.5: {}')
    const line = yaml.split('\n').findIndex((text) => text.includes('1.5')) + 1
    expect(problemsOf(await site.write(yaml))).toMatchObject([{ line, path: 'pools[0].keys.1.5' }])
  })
})
