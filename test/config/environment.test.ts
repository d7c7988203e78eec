import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadBackends, loadConfig } from '../../src/config/load.ts'
import { makeConfigFrom } from '../../src/config/make.ts'
import { readConfig } from '../../src/service/reload.ts'
import { Variables } from '../../src/settings/variables.ts'
import { CANARY, GOOD, makeSite, PASSPHRASE, problemsOf, softwareBackend, type Site } from './site.ts'

let site: Site
let file: string
beforeAll(async () => {
  site = await makeSite()
  const yaml = GOOD.replace('  store:\n', '  my-store:\n').replace('backend: store', 'backend: my-store')
  file = await site.write(yaml.replace('keys: all', 'keys: { aes-1: {}, rsa-1: }'))
})
afterAll(() => site.workspace.remove())

const PREFIX = 'EKM_GATEWAY__'

describe('an environment variable sets', () => {
  const rows: readonly (readonly [what: string, variables: Readonly<Record<string, string>>, expected: object])[] = [
    ['a number', { LISTEN__PORT: '9443' }, { listen: { port: 9443 } }],
    ['a number with white space', { LISTEN__PORT: ' 9443 ' }, { listen: { port: 9443 } }],
    ['text', { LISTEN__HOST: '::1' }, { listen: { host: '::1' } }],
    ['text that looks like a number', { POOLS__0__NAME: '12' }, { pools: [{ name: '12' }] }],
    ['a choice', { LISTEN__CLIENTAUTH: 'disabled' }, { listen: { clientAuth: 'disabled' } }],
    ['what is empty', { POOLS__0__PATHPREFIX: '' }, { pools: [{ pathPrefix: '' }] }],
    ['something in a list', { POOLS__0__PATHPREFIX: '/a/b/' }, { pools: [{ pathPrefix: 'a/b' }] }],
    ['a name with -', { POOLS__0__KEYS__AES_1__REF: 'slot' }, { pools: [{ keys: { 'aes-1': { ref: 'slot' } } }] }],
    [
      'something in a key that stands alone',
      { POOLS__0__KEYS__RSA_1__REF: 'slot' },
      { pools: [{ keys: { 'rsa-1': { ref: 'slot' } } }] },
    ],
    ['one of several forms', { POOLS__0__KEYS: 'all' }, { pools: [{ keys: 'all' }] }],
    [
      'a section that the file does not have',
      { LOG__LEVEL: 'debug', INFO__EKMVENDOR: 'v' },
      { log: { level: 'debug' }, info: { ekmVendor: 'v' } },
    ],
    ['a section inside a list', { POOLS__0__INFO__PROXYNAME: 'p' }, { pools: [{ info: { proxyName: 'p' } }] }],
    ['in lower case', { listen__port: '9443' }, { listen: { port: 9443 } }],
    ['as it is spelled in the file', { LIMITS__keyCacheMs: '7' }, { limits: { keyCacheMs: 7, deadlineMs: 200 } }],
  ]

  it.each(rows)('%s', (_what, variables, expected) => {
    const environment = Object.fromEntries(Object.entries(variables).map(([name, value]) => [PREFIX + name, value]))
    expect(loadConfig(file, environment)).toMatchObject(expected)
  })

  it.each([
    ['its variable', { [`${PREFIX}BACKENDS__MY_STORE__PASSPHRASE__FILE`]: 'azure-text.json' }, `${CANARY}-not-json`],
    ['a path for another path', { [`${PREFIX}BACKENDS__MY_STORE__PASSPHRASE__FILE`]: './passphrase' }, PASSPHRASE],
  ])('where a secret is: %s', (_what, environment, expected) => {
    const { passphrase } = softwareBackend(loadConfig(file, environment).backends, 'my-store')
    expect(Buffer.from(passphrase.reveal()).toString()).toBe(expected)
  })

  it('also what the commands for keys read, whatever else it names', () => {
    const backends = loadBackends(file, {
      [`${PREFIX}BACKENDS__MY_STORE__DIRECTORY`]: 'elsewhere',
      [`${PREFIX}LISTEN__PORT`]: '9443',
    })
    expect(softwareBackend(backends, 'my-store').directory).toBe(site.workspace.path('elsewhere'))
  })

  it('nothing if its name lacks the prefix', () => {
    expect(loadConfig(file, { LISTEN__PORT: '9443', EKM_GATEWAY_LISTEN__PORT: '9443' }).listen.port).toBe(0)
  })
})

describe('the configuration’s reader tells a fault of the environment by the variable’s name:', () => {
  const rows: readonly (readonly [what: string, name: string, value: string, path: string, says: RegExp])[] = [
    ['text for a number', 'LISTEN__PORT', `${CANARY}`, 'listen.port', /whole number from 0 to 65535/],
    ['an empty text for a number', 'LISTEN__PORT', '', 'listen.port', /whole number from 0 to 65535/],
    ['a number out of range', 'LIMITS__DEADLINEMS', '0', 'limits.deadlineMs', /whole number from 1 to 60000/],
    ['a word that is no choice', 'LOG__LEVEL', CANARY, 'log.level', /one of: error, warn, info, debug/],
    ['a file that is not there', 'LISTEN__TLS__KEY', 'gone.key', 'listen.tls.key', /cannot be read \(ENOENT\)/],
    [
      'a backend that is not there',
      'POOLS__0__BACKEND',
      'hsm',
      'pools[0].backend',
      /names no backend; there is: my-store/,
    ],
    ['a bad prefix', 'POOLS__0__PATHPREFIX', 'a_b', 'pools[0].pathPrefix', /at most 64 characters/],
  ]

  it.each(rows)('%s', (_what, name, value, path, says) => {
    const where = PREFIX + name
    expect(problemsOf(file, { [where]: value })).toEqual([
      { where, path, message: expect.stringMatching(says) as string },
    ])
  })

  it.each([
    ['a setting that does not exist', 'LISTEN__PROT'],
    ['a section', 'LISTEN'],
    ['a list', 'POOLS'],
    ['an item behind the end of a list', 'POOLS__1__NAME'],
    ['an item with a name', 'POOLS__FIRST__NAME'],
    ['a backend that does not exist', 'BACKENDS__HSM__DIRECTORY'],
    ['a key that does not exist', 'POOLS__0__KEYS__AES_2__REF'],
    ['a literal secret', 'BACKENDS__MY_STORE__PASSPHRASE'],
    ['a step below a single value', 'LISTEN__PORT__X'],
    ['one underscore where there are two', 'LISTEN_PORT'],
    ['a property of every object', 'LISTEN__CONSTRUCTOR'],
    ['a name without a setting', ''],
  ])('%s is not a setting', (_what, name) => {
    const where = PREFIX + name
    expect(problemsOf(file, { [where]: CANARY })).toEqual([
      { where, path: '', message: expect.stringMatching(/^names no setting with a single value/) as string },
    ])
  })

  it.each([
    ['LISTEN__PROT', 'LISTEN__PORT'],
    ['LIMITS__DEADLINE', 'LIMITS__DEADLINEMS'],
    ['POOL__0__NAME', 'POOLS__0__NAME'],
    ['POOLS__0__KEYS__AES_11__REF', 'POOLS__0__KEYS__AES_1__REF'],
    ['BACKENDS__MY_STORES__PASSPHRASE__FILE', 'BACKENDS__MY_STORE__PASSPHRASE__FILE'],
  ])('%s with the name that is meant', (name, meant) => {
    const [problem] = problemsOf(file, { [PREFIX + name]: CANARY })
    expect(problem?.message).toMatch(new RegExp(`; did you mean ${PREFIX}${meant}\\?$`))
  })

  it('together with what is wrong in the file', async () => {
    const broken = await site.workspace.write('broken.yaml', GOOD.replace('deadlineMs: 200', 'deadlineMs: 0'))
    const environment = { [`${PREFIX}LISTEN__PORT`]: 'x', [`${PREFIX}NOTHING`]: 'x' }
    expect(problemsOf(broken, environment).map(({ where, path }) => [where, path])).toEqual([
      [`${PREFIX}NOTHING`, ''],
      [`${PREFIX}LISTEN__PORT`, 'listen.port'],
      [broken, 'limits.deadlineMs'],
    ])
  })

  it('but none of a bad value in the file that a variable replaces', async () => {
    const broken = await site.workspace.write('broken.yaml', GOOD.replace('deadlineMs: 200', 'deadlineMs: 0'))
    expect(problemsOf(broken, { [`${PREFIX}LIMITS__DEADLINEMS`]: '100' })).toEqual([])
  })

  it('but none of a section of the file that a variable fills', async () => {
    const hollow = await site.workspace.write('hollow.yaml', GOOD.replace('limits:\n  deadlineMs: 200', 'limits:'))
    expect(loadConfig(hollow, { [`${PREFIX}LIMITS__DEADLINEMS`]: '100' }).limits.deadlineMs).toBe(100)
  })
})

describe('the configuration’s reader takes out of the environment', () => {
  const SECRETS = { STORE: PASSPHRASE, SERVER: `${CANARY}-server`, LATER: `${CANARY}-later` }
  const naming = (variable: string) =>
    GOOD.replace('{ file: passphrase }', `{ env: ${variable} }`).replace(
      'key: server.key',
      'key: server.key, passphrase: { env: SERVER }',
    )

  it('overrides at once, and secrets when they are named', async () => {
    const named = await site.workspace.write('named.yaml', naming('STORE'))
    const own = { PATH: '/bin', [`${PREFIX}LISTEN__PORT`]: '9443', ...SECRETS }
    const variables = new Variables(own)
    expect(own).toEqual({ PATH: '/bin', ...SECRETS })
    expect(loadConfig(named, variables).listen.port).toBe(9443)
    expect(own).toEqual({ PATH: '/bin', LATER: SECRETS.LATER })
  })

  it.each([
    ['of the part that is not looked at', (yaml: string) => yaml],
    ['of what is wrong in itself', (yaml: string) => yaml.replace('{ env: SERVER }', '{ env: SERVER, file: x }')],
    ['where something else is wrong', (yaml: string) => yaml.replace('deadlineMs: 200', 'deadlineMs: 0')],
  ])('%s, too', async (_what, change) => {
    const named = await site.workspace.write('named.yaml', change(naming('STORE')))
    const own = { ...SECRETS }
    expect(Object.keys(loadBackends(named, new Variables(own)))).toEqual(['store'])
    expect(own).toEqual({ LATER: SECRETS.LATER })
  })

  it('the secrets that an override names', async () => {
    const named = await site.workspace.write('named.yaml', naming('STORE'))
    const own = { [`${PREFIX}BACKENDS__STORE__PASSPHRASE__ENV`]: 'LATER', ...SECRETS }
    const { passphrase } = softwareBackend(loadConfig(named, new Variables(own)).backends, 'store')
    expect(Buffer.from(passphrase.reveal()).toString()).toBe(SECRETS.LATER)
    expect(own).toEqual({ STORE: SECRETS.STORE })
  })

  it('what every later reading finds again, here and in another process', async () => {
    const named = await site.workspace.write('named.yaml', naming('STORE'))
    const own = { [`${PREFIX}LISTEN__PORT`]: '9443', ...SECRETS }
    const variables = new Variables(own)
    const passphraseOf = (config: ReturnType<typeof loadConfig>) =>
      Buffer.from(softwareBackend(config.backends, 'store').passphrase.reveal()).toString()
    for (const variable of ['STORE', 'LATER', 'STORE'] as const) {
      await site.workspace.write('named.yaml', naming(variable))
      const { config: here, contents } = readConfig(named, variables)
      expect(passphraseOf(here)).toBe(SECRETS[variable])
      const other = { PATH: '/bin', ...SECRETS }
      const config = makeConfigFrom(named, structuredClone(contents), other)
      expect(passphraseOf(config)).toBe(SECRETS[variable])
      expect(config.listen.port).toBe(9443)
      expect(Object.keys(other)).toEqual('LATER' in own ? ['PATH', 'LATER'] : ['PATH'])
    }
    expect(own).toEqual({})
  })
})
