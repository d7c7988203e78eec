import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeStore, PASSPHRASE, aesKey } from '../support/gateway.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { expectRefusal, run, type Ended } from './cli.ts'

const raw = randomBytes(32)
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const rsaJwk = rsa.export({ format: 'jwk' })
const otherJwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
const pkcs8 = rsa.export({ format: 'pem', type: 'pkcs8' }).toString()
const encrypted = rsa.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: PASSPHRASE }).toString()
const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
const octJwk = (bytes: Uint8Array) => JSON.stringify(createSecretKey(bytes).export({ format: 'jwk' }))

/** Bytes that no output may contain. */
const secrets = [
  PASSPHRASE,
  raw.toString('hex'),
  raw.toString('base64url'),
  raw.toString('base64'),
  String(rsaJwk.d),
  String(rsaJwk.p),
  String(otherJwk.d),
  pkcs8.split('\n')[5] ?? '?',
  encrypted.split('\n')[5] ?? '?',
]

const backend = (directory: string, passphrase: string) =>
  `{ kind: software, directory: ${directory}, passphrase: ${passphrase} }`

let workspace: Workspace
beforeAll(async () => {
  workspace = await makeWorkspace()
  await workspace.write('passphrase', PASSPHRASE + '\n')
  await workspace.write('wrong', 'another passphrase\n')
  await makeStore(workspace.path('keys'), [aesKey('there'), aesKey('twice')])
  const configs = {
    'gateway.yaml': `backends:\n  store: ${backend('keys', '{ file: passphrase }')}\n`,
    'fresh.yaml': `backends:\n  store: ${backend('fresh', '{ env: STORE_PASSPHRASE }')}\n`,
    'wrong.yaml': `backends:\n  store: ${backend('keys', '{ file: wrong }')}\n`,
    'nowhere.yaml': `backends:\n  store: ${backend('nowhere', '{ file: passphrase }')}\n`,
    'two.yaml': `backends:\n  store: ${backend('keys', '{ file: passphrase }')}\n  other: ${backend('other', '{ file: wrong }')}\n`,
    'none.yaml': 'backends: {}\n',
    'broken.yaml': `backends:\n  store: ${backend('keys', PASSPHRASE)}\n`,
  }
  for (const [name, text] of Object.entries(configs)) await workspace.write(name, text)
})
afterAll(() => workspace.remove())

async function keys(command: string, config = 'gateway.yaml', input?: string | Uint8Array): Promise<Ended> {
  const args = ['keys', ...command.split(' '), '--config', config]
  const ended = await run(args, {
    cwd: workspace.directory,
    environment: { STORE_PASSPHRASE: PASSPHRASE },
    ...(input !== undefined && { input }),
  })
  for (const secret of secrets) expect(ended.stdout + ended.stderr).not.toContain(secret)
  return ended
}

const done = (stdout: string): Ended => ({ code: 0, signal: null, stdout: stdout + '\n', stderr: '' })

// These tests run side by side because they mostly wait for processes.
describe.concurrent('ekm-gateway keys', () => {
  it('creates, lists, disables and enables a key, in a store that the first key makes', async ({ expect }) => {
    const on = (command: string, input?: string) => keys(command, 'fresh.yaml', input)
    expectRefusal(await on('list'), /^ekm-gateway: there is no key store at .*fresh: .*keys create NAME --type oct$/)
    expect(await on('create aes-1 --type oct')).toEqual(done('created aes-1  oct 256  enabled'))
    expect(await on('create rsa-1 --type RSA --size 2048')).toEqual(done('created rsa-1  RSA 2048  enabled'))
    expect(await on('create rsa-2 --type RSA --not-before 2027-01-31 --expires 2028-02-29T12:00:00Z')).toEqual(
      done('created rsa-2  RSA 3072  enabled  not before 2027-01-31T00:00:00.000Z  expires 2028-02-29T12:00:00.000Z'),
    )
    expect(await on('import aes-2 --expires 2030-01-01', raw.toString('hex'))).toEqual(
      done('imported aes-2  oct 256  enabled  expires 2030-01-01T00:00:00.000Z'),
    )
    expect(await on('disable aes-1')).toEqual(done('aes-1  oct 256  disabled'))
    expect((await on('list')).stdout.split('\n').map((line) => line.split('  ').slice(0, 3))).toEqual([
      ['aes-1', 'oct 256', 'disabled'],
      ['aes-2', 'oct 256', 'enabled'],
      ['rsa-1', 'RSA 2048', 'enabled'],
      ['rsa-2', 'RSA 3072', 'enabled'],
      [''],
    ])
    expect(await on('enable aes-1')).toEqual(done('aes-1  oct 256  enabled'))

    const directory = workspace.path('fresh')
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    const files = await readdir(directory)
    expect(files.sort()).toEqual(['aes-1.jwe', 'aes-2.jwe', 'rsa-1.jwe', 'rsa-2.jwe', 'store.json'])
    for (const file of files) {
      expect((await stat(`${directory}/${file}`)).mode & 0o777).toBe(0o600)
      const text = await readFile(`${directory}/${file}`, 'utf8')
      for (const secret of secrets) expect(text).not.toContain(secret)
    }
  })

  it.each([
    ['a JWK', 'oct-jwk', octJwk(raw), 'oct 256'],
    ['an AES key in hexadecimal', 'hex', raw.toString('hex'), 'oct 256'],
    ['an AES key in base64url', 'base64url', raw.toString('base64url') + '\n', 'oct 256'],
    ['an RSA JWK', 'rsa-jwk', JSON.stringify(rsaJwk, undefined, 2), 'RSA 2048'],
    ['an RSA key in PKCS#8 PEM', 'rsa-pem', pkcs8, 'RSA 2048'],
  ])('imports %s', async (_what, name, input, kind) => {
    expect(await keys(`import ${name}`, 'gateway.yaml', input)).toEqual(done(`imported ${name}  ${kind}  enabled`))
  })

  it.each([
    ['an empty input', '', /the input must be a private JWK, a PKCS#8 PEM, or 32 bytes in hexadecimal or base64url$/],
    ['a damaged JWK', octJwk(raw).slice(0, -4), /the JWK is not a private key/],
    ['a JWK of two keys', JSON.stringify({ ...rsaJwk, d: otherJwk.d }), /do not belong together|not a private key/],
    ['an encrypted PEM', encrypted, /only an unencrypted PKCS#8 key can be imported: convert it with openssl pkcs8/],
    ['an RSA key that is too small', small.export({ format: 'pem', type: 'pkcs8' }), /size is not allowed/],
  ])('does not import %s', async (_what, input, says) => {
    expectRefusal(await keys('import never', 'gateway.yaml', input), says)
  })

  it.each([
    [
      'a name that is taken',
      'create there --type oct',
      'gateway.yaml',
      /^ekm-gateway: the key there already exists; a key is never replaced$/,
    ],
    [
      'a bad name',
      'create no_good --type oct',
      'gateway.yaml',
      /key name "no_good" is not allowed: use 1 to 64 characters/,
    ],
    [
      'an oct key of 128 bits',
      'create x --type oct --size 128',
      'gateway.yaml',
      /an oct key of 128 bits is not allowed: oct keys have 256 bits, RSA keys 2048, 3072, 4096/,
    ],
    [
      'an RSA key of 1024 bits',
      'create x --type RSA --size 1024',
      'gateway.yaml',
      /an RSA key of 1024 bits is not allowed/,
    ],
    [
      'dates the wrong way round',
      'create x --type oct --not-before 2028-01-01 --expires 2027-01-01',
      'gateway.yaml',
      /would expire before it becomes active/,
    ],
    ['a key that is not there', 'disable nobody', 'gateway.yaml', /the store .*keys has no key nobody$/],
    ['a wrong passphrase', 'list', 'wrong.yaml', /^ekm-gateway: the passphrase does not decrypt .*store\.json$/],
    ['a store that is not there', 'enable x', 'nowhere.yaml', /there is no key store at .*nowhere/],
    [
      'a backend that is not there',
      'list --backend hsm',
      'two.yaml',
      /name a backend with --backend; two\.yaml has: store, other$/,
    ],
    [
      'a backend that is named like a property of every object',
      'list --backend toString',
      'gateway.yaml',
      /name a backend with --backend; gateway\.yaml has: store$/,
    ],
    [
      'a call that leaves open which of two backends',
      'list',
      'two.yaml',
      /name a backend with --backend; two\.yaml has: store, other$/,
    ],
    ['a mistyped backend', 'list --backend othre', 'two.yaml', /two\.yaml has: store, other; did you mean other\?$/],
    ['a configuration without a backend', 'list', 'none.yaml', /none\.yaml has no backends$/],
    ['a configuration that is not there', 'list', 'gone.yaml', /^ekm-gateway: gone\.yaml: cannot be read \(ENOENT\)$/],
    [
      'a literal passphrase',
      'list',
      'broken.yaml',
      /^ekm-gateway: broken\.yaml:2: backends\.store\.passphrase must be either/,
    ],
  ])('refuses %s', async (_what, command, config, says) => {
    expectRefusal(await keys(command, config), says)
  })

  it.each([
    ['an unknown type', 'create x --type EC', /'--type <type>' argument 'EC' is invalid. Allowed choices are oct, RSA/],
    ['no type', 'create x', /required option '--type <type>' not specified/],
    [
      'a size that is no number',
      'create x --type oct --size big',
      /'--size <bits>' argument 'big' is invalid. It must be a number/,
    ],
    [
      'a date that is none',
      'create x --type oct --expires tomorrow',
      /argument 'tomorrow' is invalid. It must be a UTC date such as/,
    ],
    ['the 30th of February', 'create x --type oct --expires 2027-02-30', /argument '2027-02-30' is invalid/],
    ['a date with an offset', 'create x --type oct --not-before 2027-01-01T00:00:00+01:00', /It must be a UTC date/],
    ['an unknown command', 'export there', /unknown command 'export'/],
    ['an unknown option', 'create x --type oct --force', /unknown option '--force'/],
  ])('refuses %s, and says how it is used', async (_what, command, says) => {
    const { code, stdout, stderr } = await keys(command)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(says)
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  it('refuses to be run without a configuration', async () => {
    const { code, stderr } = await run(['keys', 'list'], { cwd: workspace.directory })
    expect(code).toBe(1)
    expect(stderr).toContain("required option '--config <file>' not specified")
  })

  it('uses the named one of several backends', async () => {
    expect((await keys('list --backend store', 'two.yaml')).stdout).toMatch(/^there {2}oct 256 {2}enabled$/m)
  })

  it('keeps one of two keys that are made at once under one name', async () => {
    const both = await Promise.all([keys('create race --type oct'), keys('create race --type oct')])
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1])
  })
})
