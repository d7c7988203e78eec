import { chmod, mkdir } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PASSPHRASE } from '../../support/gateway.ts'
import { checkFile, expectLine, makeSite, type Site } from './site.ts'

const TICKETS = { listen: { ticketKeys: { file: 'tickets.key' } } }

let site: Site
beforeAll(async () => {
  site = await makeSite(['configuration', 'secrets', 'clients'])
})
afterAll(() => site.workspace.remove())

describe('check of a configuration that is not valid', () => {
  it('reports its faults line by line, and checks its valid parts all the same', async () => {
    const file = await site.write({
      listen: { port: 99_999 },
      pools: [{ ...site.pool, backend: 'elsewhere' }, { name: 'second' }],
    })
    const checked = await checkFile(file)
    const lines = checked.all('configuration.valid', 'problem')
    expect(lines.length).toBeGreaterThan(2)
    for (const { subject } of lines) expect(subject).toMatch(/gateway\.yaml:\d+$/)
    expectLine(checked, 'configuration.valid', 'problem', { found: /^listen\.port must be a whole number/ })
    expectLine(checked, 'configuration.valid', 'problem', { found: /^pools\[0\]\.backend names no backend/ })
    // The right parts of the configuration are checked all the same.
    expectLine(checked, 'certificate.key-match', 'ok', { found: /belongs/ })
    expectLine(checked, 'backend.open', 'ok', { found: /the passphrase opens it/, subject: 'store' })
    expectLine(checked, 'listener.port', 'not checked', { found: /not valid/, advice: /^$/ })
    expect(checked.ids('problem')).toEqual(['configuration.valid'])
  })

  it('says where the file is not YAML', async () => {
    const checked = await checkFile(await site.workspace.write('broken.yaml', 'listen: [\n'))
    expectLine(checked, 'configuration.valid', 'problem', { found: /is not valid YAML/ })
    expectLine(checked, 'backend.open', 'not checked', { found: /not valid/, advice: /^$/ })
  })

  it('repeats no secret that stands where a reference belongs', async () => {
    const store = { kind: 'software', directory: 'keys', passphrase: PASSPHRASE }
    const checked = await site.check({ backends: { store } })
    expectLine(checked, 'configuration.valid', 'problem', { found: /do not write a secret into this file$/ })
    expect(checked.text + checked.json).not.toContain(PASSPHRASE)
  })
})

describe('check reports a file that others can get at:', () => {
  it.each([
    [
      'passphrase',
      '0644',
      'secrets.permissions',
      'warning',
      /the secret backends\.store\.passphrase\.file .*mode 0644/,
      /^chmod 600 .*passphrase$/,
    ],
    [
      'server.key',
      '0640',
      'secrets.permissions',
      'warning',
      /the secret listen\.tls\.key .*mode 0640/,
      /^chmod 600 .*server\.key$/,
    ],
    [
      'tickets.key',
      '0640',
      'secrets.permissions',
      'warning',
      /the secret listen\.ticketKeys\.file .*mode 0640/,
      /^chmod 600 .*tickets\.key$/,
    ],
    [
      'client-root.pem',
      '0664',
      'configuration.writable',
      'warning',
      /can change pools\.0\.clients\.0\.caCertificates\.0/,
      /^chmod go-w /,
    ],
  ] as const)('%s with mode %s', async (name, mode, id, status, found, command) => {
    await site.workspace.write('tickets.key', Buffer.alloc(48, 1))
    await chmod(site.workspace.path(name), parseInt(mode, 8))
    const checked = await site.check(TICKETS)
    await chmod(site.workspace.path(name), 0o600)
    expectLine(checked, id, status, { found, command, subject: site.workspace.path(name) })
    expect(checked.ids('problem')).toEqual([])
    expect((await site.check(TICKETS)).all(id).map(({ status }) => status)).toEqual(['ok'])
  })

  it.each([
    ['passphrase', 'secrets.permissions', /the secret backends\.store\.passphrase\.file .*mode 0602/],
    ['client-root.pem', 'configuration.writable', /can change pools\.0\.clients\.0\.caCertificates\.0 \(mode 0602\)/],
  ] as const)('%s, which every user can change: serve would refuse it', async (name, id, found) => {
    await chmod(site.workspace.path(name), 0o602)
    const checked = await site.check()
    await chmod(site.workspace.path(name), 0o600)
    expectLine(checked, id, 'problem', { found, subject: site.workspace.path(name) })
    expectLine(checked, 'configuration.valid', 'problem', { found: /every user can change .*run chmod o-w / })
  })

  it('a directory in which every user can replace them', async () => {
    await chmod(site.workspace.directory, 0o777)
    const checked = await site.check()
    await chmod(site.workspace.directory, 0o700)
    expectLine(checked, 'configuration.writable', 'problem', {
      found: /every user can replace files in this directory \(mode 0777\)/,
      subject: site.workspace.directory,
      command: /^chmod o-w /,
    })
    expectLine(checked, 'configuration.valid', 'problem', { found: /every user can replace, because of the directory/ })
  })

  it('the PIN’s file of a pkcs11: URI', async () => {
    await site.workspace.write('pin', '1234', 0o644)
    const token = `pkcs11:token=x?pin-source=file:${site.workspace.path('pin')}`
    const backends = { store: { kind: 'pkcs11', module: '/nowhere.so', token } }
    expectLine(await site.check({ backends }), 'secrets.permissions', 'warning', {
      found: /the secret backends\.store\.token/,
    })
  })
})

describe('check warns of a setting that is meant for trials:', () => {
  it.each([
    ['127.0.0.1', 'warning'],
    ['0.0.0.0', 'problem'],
  ] as const)('clientAuth: disabled on %s', async (host, status) => {
    const checked = await site.check({ listen: { host, clientAuth: 'disabled' } })
    expectLine(checked, 'configuration.client-auth', status, {
      found: /anyone who reaches the port/,
      advice: /required/,
    })
    expectLine(checked, 'clients.names', 'not checked', { found: /disabled/, advice: /^$/ })
  })

  it.each([
    [{ host: '0.0.0.0' }, 'warning', /whoever reaches the port/],
    [{ host: '0.0.0.0', token: { file: 'admin-token' } }, 'ok', /asks for a token/],
    [{}, 'ok', /this machine alone/],
    [undefined, 'ok', /no admin port/],
  ] as const)('the admin port %j', async (admin, status, found) => {
    await site.workspace.write('admin-token', 'the-token-of-the-operator')
    const checked = await site.check({ admin }, { only: ['configuration.admin'] })
    expectLine(checked, 'configuration.admin', status, {
      found,
      ...(status === 'warning' && { advice: /admin\.token/ }),
    })
  })

  it('the admin token’s file, if others can read it', async () => {
    await site.workspace.write('open-token', 'the-token-of-the-operator', 0o644)
    const checked = await site.check({ admin: { token: { file: 'open-token' } } }, { only: ['secrets'] })
    expectLine(checked, 'secrets.permissions', 'warning', { found: /the secret admin\.token\.file/ })
  })

  it('a software store', async () => {
    expectLine(await site.check({}, { only: ['backend.kind'] }), 'backend.kind', 'warning', {
      found: /software store/,
      subject: 'store',
    })
  })
})

it('check reports a log path that cannot be written', async () => {
  await mkdir(site.workspace.path('there'), { recursive: true })
  const checked = await site.check({ log: { destination: 'nowhere/gateway.log' } })
  expectLine(checked, 'configuration.log', 'problem', { found: /nowhere\/gateway\.log \(ENOENT\)/, command: /^ls -ld/ })
  const good = await site.check({ log: { destination: 'there/gateway.log' } })
  expectLine(good, 'configuration.log', 'ok', { found: /is writable/ })
})
