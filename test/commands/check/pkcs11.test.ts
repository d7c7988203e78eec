import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { faultModule, type FaultModule } from '../../pkcs11/support/fault-module.ts'
import { MODULE, PIN, softHsm } from '../../pkcs11/support/softhsm.ts'
import { onToken } from '../../pkcs11/support/token-objects.ts'
import { expectLine, fingerprint, makeSite, type Checked, type Site } from './site.ts'

const hsm = softHsm()
let site: Site
let faults: FaultModule
beforeAll(async () => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes-1')
    objects.rsa('rsa-1')
    objects.aes('Payroll')
    objects.aes('twice')
    objects.aes('twice')
    objects.aes('open', { EXTRACTABLE: true, SENSITIVE: false })
    objects.aes('wrap-only', { DECRYPT: false, UNWRAP: false })
  })
  site = await makeSite(['backend', 'key'])
  await site.workspace.write('pin', PIN)
  await site.workspace.write('wrong-pin', '11111111')
})
afterAll(async () => {
  hsm.remove()
  await site.workspace.remove()
})

function check(keys: object, hsmSettings: object = {}, only = ['backend.open', 'key']): Promise<Checked> {
  const token = { kind: 'pkcs11', module: MODULE, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions: 1 }
  const backends = { hsm: { ...token, ...hsmSettings } }
  return site.check({ backends, pools: [{ ...site.pool, backend: 'hsm', keys }], limits: { deadlineMs: 20 } }, { only })
}

/** SoftHSM records every login in the token's own files. */
const objects = async () =>
  Object.entries(await fingerprint(hsm.directory)).filter(
    ([path]) => !/(?:token\.(?:object|lock)|generation)$/.test(path),
  )

describe('check, given a token that is well,', () => {
  it('reports all its facts, and leaves it unchanged', async () => {
    const before = await objects()
    const names = ['certificate', 'backend', 'key']
    const checked = await check({ 'aes-1': {}, 'rsa-1': {} }, { sessions: 2 }, names)
    expect(checked.ids('problem').filter((id) => id !== 'backend.latency')).toEqual([])
    const [version] = checked.all('backend.version', 'ok')
    expect(version?.found).toMatch(/SoftHSM.*token ekm; serial [0-9a-f]{16}; .*firmware 2\./)
    expect(version?.fields).toMatchObject({ token: 'ekm', sessions: 2 })
    expectLine(checked, 'backend.open', 'ok', { found: /logged in/, subject: 'hsm' })
    expectLine(checked, 'backend.sessions', 'ok', { found: /2 of 2 sessions are open; the token states no limit/ })
    expectLine(checked, 'key.found', 'ok', { found: /AES key of 256 bits/, subject: 'contoso/aes-1' })
    expectLine(checked, 'key.found', 'ok', { found: /RSA key of 2048 bits/, subject: 'contoso/rsa-1' })
    expectLine(checked, 'key.way', 'ok', {
      found: /^A256KWP: host-run key wrap over CKM_AES_ECB.*; rejected: .*0x210a.*wrong result for 1 bytes/,
    })
    expectLine(checked, 'key.way', 'ok', { found: /^RSA-OAEP-256: .*CKM_RSA_X_509.*CKR_ARGUMENTS_BAD/ })
    expect(checked.all('key.round-trip', 'ok').map(({ fields }) => fields?.['algorithm'])).toEqual([
      'A256KW',
      'A256KWP',
      'RSA-OAEP',
      'RSA-OAEP-256',
    ])
    expect(checked.all('backend.latency')).toHaveLength(4)
    for (const { fields } of checked.all('backend.latency')) expect(fields?.['calls']).toBeGreaterThan(0)
    expect(await objects()).toEqual(before)
    expect(checked.text + checked.json).not.toContain(PIN)
  })
})

describe('check reports a key of a token that', () => {
  let checked: Checked
  beforeAll(async () => {
    checked = await check({ 'nowhere-1': {}, payroll: {}, 'aes-2': {}, twice: {}, open: {}, 'wrap-only': {} })
  })

  it('is missing', () => {
    expectLine(checked, 'key.found', 'problem', {
      found: /not there: the token has no key with the label "nowhere-1"/,
      subject: 'contoso/nowhere-1',
      command: /^\S.* keys list --config .*gateway\.yaml --backend hsm$/,
    })
  })

  it('is there in another spelling', () => {
    const advice = /did you mean Payroll\? write payroll: \{ ref: Payroll \}/
    expectLine(checked, 'key.found', 'problem', { found: /payroll/, advice, subject: 'contoso/payroll' })
    const close = (subject: string, found: RegExp) =>
      expectLine(checked, 'key.near-miss', 'warning', { found, subject })
    close('contoso/payroll', /has Payroll, which differs only in upper and lower case/)
    close('contoso/aes-2', /has aes-1, which differs by one character/)
  })

  it('shares its name with another key', () => {
    const found = /more than one key of the token has the label "twice": .* and /
    expectLine(checked, 'key.unique', 'problem', { found, subject: 'contoso/twice' })
  })

  it('could leave the token', async () => {
    expectLine(checked, 'key.exposed', 'warning', { found: /CKA_EXTRACTABLE is true/, subject: 'contoso/open' })
    expect(checked.all('key.exposed')).toHaveLength(1)
    const strict = await check({ open: {} }, { requireSensitive: true })
    expectLine(strict, 'key.found', 'problem', { found: /OPERATION_FORBIDDEN.*can leave the token/ })
  })

  it('has no permission to unwrap', () => {
    expect(checked.all('key.round-trip', 'problem').map(({ subject, found }) => [subject, found])).toEqual([
      ['contoso/wrap-only', expect.stringMatching(/^A256KW: the key does not unwrap \(OPERATION_FORBIDDEN\)/)],
      ['contoso/wrap-only', expect.stringMatching(/^A256KWP: the key does not unwrap/)],
    ])
  })
})

describe('check reports that a token cannot be used where', () => {
  it('its PIN is wrong, after one try and no more', async () => {
    faults.logins()
    const checked = await check({ 'aes-1': {} }, { module: faults.path, pin: { file: 'wrong-pin' } })
    expect(faults.logins()).toBe(1)
    expectLine(checked, 'backend.open', 'problem', {
      found: /CKR_PIN_INCORRECT/,
      subject: 'hsm',
      advice: /each run is one attempt/,
      command: /^pkcs11-tool --module .* --list-token-slots$/,
    })
    expectLine(checked, 'key.found', 'not checked', { found: /see backend\.open/, advice: /^$/ })
    expect(checked.text + checked.json).not.toContain('11111111')
    expect((await check({ 'aes-1': {} })).ids('problem')).toEqual([])
  })

  it('the module’s file is missing', async () => {
    const checked = await check({}, { module: '/nowhere/libhsm.so' })
    expectLine(checked, 'backend.open', 'problem', {
      found: /no readable PKCS#11 module at \/nowhere\/libhsm\.so/,
      advice: /correct module/,
      command: /^find \/ -xdev -name libhsm\.so$/,
    })
  })

  it('the module’s file is no library', async () => {
    const checked = await check({}, { module: site.workspace.path('pin') })
    expectLine(checked, 'backend.open', 'problem', { found: /not a shared library/, command: /^file -L .*; ldd / })
  })

  it('SoftHSM has no configuration, and shows its default directory', async () => {
    const { SOFTHSM2_CONF } = process.env
    delete process.env['SOFTHSM2_CONF']
    const checked = await check({})
    process.env['SOFTHSM2_CONF'] = SOFTHSM2_CONF
    expectLine(checked, 'backend.open', 'problem', {
      found: /SOFTHSM2_CONF in the gateway's environment names the file/,
    })
  })

  it('the PIN’s file has more than the PIN, without a login', async () => {
    await site.workspace.write('quoted-pin', `"${PIN}"\n`)
    faults.logins()
    const checked = await check({}, { module: faults.path, pin: { file: 'quoted-pin' } }, [
      'configuration.valid',
      'backend',
    ])
    const source = `pkcs11:token=ekm?pin-source=${site.workspace.path('quoted-pin')}`
    const byUri = await check({}, { module: faults.path, token: source, pin: undefined })
    expect(faults.logins()).toBe(0)
    expectLine(checked, 'configuration.valid', 'problem', {
      found: /backends\.hsm\.pin .*has quotes around the secret/,
    })
    expectLine(byUri, 'backend.open', 'problem', { found: /quoted-pin has quotes around the secret: write/ })
    expect(checked.text + byUri.text).not.toContain(PIN)
  })
})

it('check measures every key, and not the first of a kind alone', async () => {
  const checked = await check({ 'aes-1': {}, Payroll: {} }, {}, ['backend.latency'])
  const measured = checked.all('backend.latency').map(({ fields }) => `${fields?.['algorithm']} ${fields?.['key']}`)
  expect(measured.sort()).toEqual(
    ['A256KW', 'A256KWP'].flatMap((algorithm) => [`${algorithm} contoso/Payroll`, `${algorithm} contoso/aes-1`]),
  )
})

it('check reports a token that is slower than the deadline allows', async () => {
  faults.script('C_WrapKey delay 25')
  const checked = await check({ 'aes-1': {} }, { module: faults.path }, ['backend.latency'])
  faults.script()
  expectLine(checked, 'backend.latency', 'problem', {
    found:
      /^A256KW with contoso\/aes-1: wrap p50 \d+ ms, p99 \d+ ms; .*\d+ calls; the deadline is 20 ms, and Azure waits 250 ms/,
    advice: /move the gateway nearer to the backend/,
  })
})
