import { createPrivateKey, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KmipOptions } from '../../../adapters/kmip/index.ts'
import { KmipCluster } from '../../../adapters/kmip/transport/cluster.ts'
import { rsaKey } from '../../contract/rsa-keys.ts'
import { freePort, startPyKmip } from '../../kmip/pykmip.ts'
import { activateIfNeeded, registerAes, registerRsa } from '../../kmip/register.ts'
import { cosmianLike, type Behaviour } from '../../kmip/server/behaviour.ts'
import { startTestServer, type StartedTestServer } from '../../kmip/test-server.ts'
import { findCanaries } from '../../support/canaries.ts'
import { issue } from '../../support/pki.ts'
import { expectLine, inDays, makeSite, type Checked, type Site } from './site.ts'

let site: Site
let started: StartedTestServer
const kek = randomBytes(32)

/** Active keys with these names. */
async function fill(options: KmipOptions, names: readonly string[]): Promise<void> {
  const cluster = new KmipCluster(options, () => undefined)
  for (const name of names) {
    const made = name.startsWith('rsa')
      ? Object.values(await registerRsa(cluster, await rsaKey(2048), { name }))
      : [await registerAes(cluster, kek, { name })]
    for (const id of made) await activateIfNeeded(cluster, id)
  }
  cluster.close()
}

beforeAll(async () => {
  site = await makeSite(['backend', 'key'])
  started = await startTestServer()
  await writeTls(started.options)
  await fill(started.options, ['aes-1', 'rsa-1', 'rsa-2', 'Payroll', 'twice', 'twice'])
})
afterAll(async () => {
  await started.server.stop()
  await site.workspace.remove()
})

async function writeTls({ tls }: KmipOptions): Promise<void> {
  await site.workspace.write('kmip-ca.pem', tls.ca)
  await site.workspace.write('kmip.pem', tls.certificate)
  await site.workspace.write('kmip.key', tls.key.reveal())
}

interface Asked {
  readonly settings?: object
  readonly servers?: readonly string[]
  readonly tls?: object
  readonly only?: readonly string[]
}

function check(keys: object, { settings, servers, tls, only = ['backend.open', 'key'] }: Asked = {}) {
  const kms = {
    kind: 'kmip',
    servers: servers ?? [`127.0.0.1:${started.server.port}`],
    tls: { ca: 'kmip-ca.pem', certificate: 'kmip.pem', key: 'kmip.key', ...tls },
    connections: 2,
    ...settings,
  }
  return site.check({ backends: { kms }, pools: [{ ...site.pool, backend: 'kms', keys }] }, { only })
}

/** Runs `work` while the server has another behaviour. */
async function behaving(behaviour: Partial<Behaviour>, work: () => Promise<Checked>): Promise<Checked> {
  const { operations } = started.server
  const before = operations.behaviour
  Object.assign(operations, { behaviour: { ...cosmianLike, ...behaviour } })
  try {
    return await work()
  } finally {
    Object.assign(operations, { behaviour: before })
  }
}

describe('check, given a key manager that is well,', () => {
  it('reports all its facts, and leaves it unchanged', async () => {
    const objects = () => started.server.operations.store.all().map((object) => ({ ...object }))
    const before = objects()
    const checked = await check({ 'aes-1': {}, 'rsa-1': {} }, { only: ['backend', 'key'] })
    expect(checked.ids('problem').filter((id) => id !== 'backend.latency')).toEqual([])
    expectLine(checked, 'backend.open', 'ok', { found: /connected/, subject: 'kms' })
    expectLine(checked, 'backend.servers', 'ok', { found: /127\.0\.0\.1:\d+: version 2\.1, vendor / })
    expectLine(checked, 'backend.kind', 'ok', { found: /stay in the backend/ })
    expectLine(checked, 'key.way', 'ok', { found: /^A256KW: the server's own key wrap mode$/ })
    expectLine(checked, 'key.way', 'ok', { found: /^RSA-OAEP-256: the server's own RSA-OAEP$/ })
    expect(checked.all('key.round-trip', 'ok')).toHaveLength(4)
    expect(objects()).toEqual(before)
    const canaries = { kek, 'client key': started.options.tls.key.reveal() }
    expect(findCanaries(checked.text + checked.json, canaries)).toEqual([])
  })
})

describe('check of a KMIP key', () => {
  it('measures each key by itself: one RSA key can be slow where another is not', async () => {
    const keys = { 'rsa-1': {}, 'rsa-2': {}, again: { ref: 'rsa-2' } }
    const checked = await check(keys, { only: ['backend.latency'] })
    const measured = checked.all('backend.latency').map(({ fields }) => `${fields?.['algorithm']} ${fields?.['key']}`)
    expect(measured).toEqual([
      'RSA-OAEP contoso/rsa-1',
      'RSA-OAEP-256 contoso/rsa-1',
      'RSA-OAEP contoso/rsa-2',
      'RSA-OAEP-256 contoso/rsa-2',
    ])
  })

  it('reports a key that is missing, and one that is there in another spelling', async () => {
    const checked = await check({ payroll: {}, 'nowhere-1': {} })
    expectLine(checked, 'key.found', 'problem', { found: /no key named nowhere-1/, subject: 'contoso/nowhere-1' })
    expectLine(checked, 'key.found', 'problem', { found: /no key named payroll/, advice: /did you mean Payroll\?/ })
    expectLine(checked, 'key.near-miss', 'warning', { found: /Payroll/, subject: 'contoso/payroll' })
  })

  it('reports an ambiguous name', async () => {
    const checked = await check({ twice: {} })
    expectLine(checked, 'key.unique', 'problem', {
      found: /more than one key named twice: 2, object-\d+ and object-\d+/,
    })
    expect(checked.ids('problem')).toEqual(['key.unique'])
  })

  it('reports the use of single blocks where the server’s own mode is wrong', async () => {
    const checked = await behaving({ keyWrap: 'swapped' }, () => check({ 'aes-1': {} }))
    expectLine(checked, 'key.way', 'ok', {
      found: /^A256KW: key wrap composed of AES-ECB blocks; rejected: the server's own key wrap mode: it gives wrong/,
    })
  })

  it('reports a key that has no way, or has to be exported', async () => {
    const helpless = { keyWrap: 'none', ecb: 'none', oaep: false, exports: true } as const
    const none = await behaving(helpless, () => check({ 'aes-1': {}, 'rsa-1': {} }))
    expectLine(none, 'key.way', 'problem', {
      found:
        /^A256KW: no way of the backend gives right results; rejected: AES-ECB blocks without padding: .*keyAccess is not export/,
    })
    expectLine(none, 'key.way', 'problem', { found: /^RSA-OAEP: no way .*the server's own RSA-OAEP: operation 0x20/ })
    const fetched = await behaving(helpless, () =>
      check({ 'aes-1': {} }, { settings: { keyAccess: 'export' }, only: ['backend.kind', 'key'] }),
    )
    expectLine(fetched, 'key.way', 'warning', { found: /^A256KW: the key fetched into the gateway/ })
    expectLine(fetched, 'backend.kind', 'warning', { found: /keyAccess is export/ })
  })
})

describe('check reports a key manager that', () => {
  it('is down', async () => {
    const address = `127.0.0.1:${await freePort()}`
    const checked = await check({ 'aes-1': {} }, { servers: [address], only: ['backend', 'key'] })
    expectLine(checked, 'backend.open', 'problem', {
      found: /BACKEND_UNAVAILABLE/,
      command: new RegExp(`^openssl s_client -connect ${address} -CAfile .*kmip-ca\\.pem -cert .* -key .* </dev/null$`),
    })
    expectLine(checked, 'backend.servers', 'problem', { found: /ECONNREFUSED/, advice: /is it running/ })
    expectLine(checked, 'key.found', 'not checked', { found: /see backend\.open/, advice: /^$/ })
  })

  it('is down in part', async () => {
    const servers = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${started.server.port}`]
    const checked = await check({ 'aes-1': {} }, { servers, only: ['backend.open', 'backend.servers', 'key'] })
    expectLine(checked, 'backend.servers', 'warning', { found: /ECONNREFUSED/ })
    expect(checked.ids('problem')).toEqual([])
  })

  it('has a certificate of another CA', async () => {
    await site.workspace.write('other-ca.pem', site.pki.clientRoot.certificate)
    const checked = await check({}, { tls: { ca: 'other-ca.pem' } })
    expectLine(checked, 'backend.open', 'problem', {
      found: /TLS connection to the key manager failed: UNABLE_TO_/,
      advice: /compare the server's certificate with tls\.ca/,
    })
  })

  it('has a certificate for another name, or does not answer at all', async () => {
    const named = await check({}, { tls: { serverName: 'kms.example.com' } })
    expectLine(named, 'backend.open', 'problem', { found: /ERR_TLS_CERT_ALTNAME_INVALID/ })
    started.server.fault = { kind: 'close' }
    const silent = await check({}, { only: ['backend.open'] })
    started.server.fault = undefined
    expectLine(silent, 'backend.open', 'problem', { found: /BACKEND_UNAVAILABLE/ })
  })
})

it('check reports that the key of the client certificate for KMIP is encrypted', async () => {
  const { tls } = started.options
  const pem = createPrivateKey(Buffer.from(tls.key.reveal())).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'kmip-key-passphrase',
  })
  await site.workspace.write('encrypted.key', pem)
  await site.workspace.write('encrypted.key.passphrase', 'kmip-key-passphrase\n')
  const encrypted = { key: 'encrypted.key', passphrase: { file: 'encrypted.key.passphrase' } }
  const checked = await check({ 'aes-1': {} }, { tls: encrypted })
  expectLine(checked, 'backend.open', 'ok', { found: /connected/ })
  expect(findCanaries(checked.text + checked.json, { passphrase: Buffer.from('kmip-key-passphrase') })).toEqual([])
})

it('check reports that the client certificate for KMIP has expired, or expires soon', async () => {
  const { clientCa } = started.pki
  const soon = await issue({ commonName: 'soon', usage: 'client', notAfter: inDays(9) }, clientCa)
  const dates = { notBefore: inDays(-9), notAfter: inDays(-1) }
  const ended = await issue({ commonName: 'ended', usage: 'client', ...dates }, clientCa)
  await site.workspace.write('soon.pem', soon.certificate + ended.certificate)
  await site.workspace.write('soon.key', soon.key)
  const checked = await check({}, { tls: { certificate: 'soon.pem', key: 'soon.key' }, only: ['backend.certificates'] })
  expectLine(checked, 'backend.certificates', 'warning', {
    found: /this client's soon: valid until .* 9 days left/,
    command: /^openssl x509 .*soon\.pem$/,
  })
  expectLine(checked, 'backend.certificates', 'problem', { found: /this client's ended: ended on/ })
})

it('check says that PyKMIP does AES keys by single blocks, and RSA keys not at all', { timeout: 90_000 }, async () => {
  const pykmip = await startPyKmip()
  try {
    await fill(pykmip.options, ['aes-1', 'rsa-1'])
    await writeTls(pykmip.options)
    const servers = [`127.0.0.1:${pykmip.port}`]
    const only = ['backend.open', 'backend.version', 'backend.servers', 'key']
    const checked = await check({ 'aes-1': {}, 'rsa-1': {} }, { servers, only })
    expectLine(checked, 'backend.servers', 'ok', { found: /version 2\.0, vendor PyKMIP/ })
    expectLine(checked, 'key.way', 'ok', {
      found: /^A256KWP: .*AES-ECB blocks without padding: .*refused with reason 0x7/,
    })
    expectLine(checked, 'key.round-trip', 'ok', { found: /^A256KW: 32 random bytes/ })
    expectLine(checked, 'key.way', 'problem', { found: /^RSA-OAEP: no way/, subject: 'contoso/rsa-1' })
    expect(checked.ids('problem')).toEqual(['key.way'])
  } finally {
    await pykmip.stop()
    await writeTls(started.options)
  }
})
