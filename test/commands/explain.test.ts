import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { jsonSchema } from '../../src/commands/config/schema.ts'
import { findSettings, meantSetting } from '../../src/commands/explain/find.ts'
import { pathOf, settingsOf, type Setting } from '../../src/commands/explain/settings.ts'
import { exampleOf, explanation, overview } from '../../src/commands/explain/text.ts'
import { applyEnvironment } from '../../src/config/environment.ts'
import { configSchema } from '../../src/config/schema.ts'
import { Variables } from '../../src/settings/variables.ts'
import { expectRefusal, run } from './cli.ts'
import { validate } from './json-schema.ts'

const settings = settingsOf(jsonSchema())
const page = readFileSync('docs/configuration.md', 'utf8')
const explain = (asked: string) => findSettings(asked, settings).map((found) => explanation(found, settings))
const pathsFor = (asked: string) => findSettings(asked, settings).map(({ setting }) => pathOf(setting))

describe('config explain', () => {
  it('prints type, bounds, default, example, variable and page', async () => {
    const { code, stdout, stderr } = await run(['config', 'explain', 'limits.deadlineMs'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(
      [
        'limits.deadlineMs',
        "Milliseconds from a request's complete header to its answer. Azure waits 250 ms from the request's first byte.",
        '',
        '  type      whole number from 1 to 60000',
        '  required  no',
        '  default   200',
        '  example   limits:',
        '              deadlineMs: 200',
        '  variable  EKM_GATEWAY__LIMITS__DEADLINEMS=200',
        '  page      docs/configuration.md#limits',
        '',
      ].join('\n'),
    )
    expect(page).toContain(`\n${stdout}`)
  })

  it('lists all settings', async () => {
    const { code, stdout } = await run(['config', 'explain'])
    expect([code, stdout]).toEqual([0, `${overview(settings)}\n`])
    expect(stdout.split('\n').length).toBeGreaterThan(90)
  })

  it('refuses an unknown setting, and names the nearest', async () => {
    expectRefusal(
      await run(['config', 'explain', 'pools.contoso.kyes']),
      /^ekm-gateway: there is no setting pools\.contoso\.kyes: config explain lists all; did you mean pools\[\]\.keys\?$/,
    )
  })

  it.each([
    ['limits.deadlineMs', ['limits.deadlineMs']],
    ['deadlineMs', ['limits.deadlineMs']],
    ['LIMITS.deadline-ms', ['limits.deadlineMs']],
    ['EKM_GATEWAY__LIMITS__DEADLINEMS', ['limits.deadlineMs']],
    ['EKM_GATEWAY__POOLS__0__PATHPREFIX', ['pools[].pathPrefix']],
    ['pools[].clients[].azureCertificate', ['pools[].clients[].azureCertificate']],
    ['pools[0].clients[12].azureCertificate', ['pools[].clients[].azureCertificate']],
    ['pools.clients.azureCertificate', ['pools[].clients[].azureCertificate']],
    ['pools.contoso.keys', ['pools[].keys']],
    ['pools.contoso.keys.payroll.ref', ['pools[].keys.ID.ref']],
    ['pools[].keys.ID.ref', ['pools[].keys.ID.ref']],
    ['pools.keys', ['pools[].keys']],
    ['backends.hsm.module', ['backends.NAME.module']],
    ['backends.NAME.module', ['backends.NAME.module']],
    ['backends.module', ['backends.NAME.module']],
    ['backends.hsm', ['backends']],
    ['pools[3]', ['pools']],
    ['tls.certificate', ['listen.tls.certificate', 'backends.NAME.tls.certificate']],
    ['host', ['listen.host', 'admin.host']],
    ['', []],
    ['constructor', []],
    ['limits.deadlineMs.x', []],
  ])('understands %j', (asked, paths) => {
    expect(pathsFor(asked)).toEqual(paths)
  })

  it.each([
    ['limit.deadline', 'limits.deadlineMs'],
    ['deadlinMs', 'limits.deadlineMs'],
    ['listen.prot', 'listen.port'],
    ['backends.hsm.modul', 'backends.NAME.module'],
    ['colour', undefined],
  ])('of %j suggests %s', (asked, meant) => {
    expect(meantSetting(asked, settings)).toBe(meant)
  })

  it('uses the given names in the example and the variable', () => {
    const [text] = explain('backends.my-hsm.module')
    expect(text).toContain('my-hsm:\n')
    expect(text).toContain('EKM_GATEWAY__BACKENDS__MY_HSM__MODULE=/')
  })

  it('describes the setting for each kind of backend where they differ', () => {
    expect(explain('backends.hsm.kind')[0]?.match(/^ {2}kind .*$/gm)).toHaveLength(3)
    expect(explain('backends.hsm.queue')[0]?.match(/^ {2}kind .*$/gm)).toEqual(['  kind      software, pkcs11, kmip'])
  })
})

describe('the explanation of every setting', () => {
  const each = settings.map((setting) => ({ setting, path: pathOf(setting) }))
  const textOf = (path: string) => explain(path)[0] ?? ''
  /** The paths that fail `isRight`. */
  const wrong = (isRight: (path: string, setting: Setting) => boolean) =>
    each.filter(({ path, setting }) => !isRight(path, setting)).map(({ path }) => path)

  it('is found by its path alone', () => {
    expect(wrong((path) => pathsFor(path).join() === path)).toEqual([])
  })

  it('has an example that the schema allows, or the settings below', () => {
    const isRight = ({ schema }: Setting['variants'][number]) => {
      const example = exampleOf(schema)
      if (example === undefined) return schema.properties !== undefined
      return validate(schema, example).length === 0
    }
    expect(wrong((_, { variants }) => variants.every(isRight))).toEqual([])
  })

  it('leads to a heading of docs/configuration.md', () => {
    const anchors = [...page.matchAll(/^### (.*)$/gm)].map(([, heading = '']) =>
      heading.replaceAll(/[`:]/g, '').replaceAll(' ', '-'),
    )
    const namedIn = (path: string) =>
      [...textOf(path).matchAll(/docs\/configuration\.md#(\S+)/g)].map(([, anchor = '']) => anchor)
    const isThere = (anchor: string) => anchors.includes(anchor)
    expect(
      wrong((path, { variants }) => namedIn(path).length === variants.length && namedIn(path).every(isThere)),
    ).toEqual([])
  })

  it('names a variable exactly where one can override the setting', () => {
    const data = { backends: { NAME: { servers: [{}] } }, pools: [{ clients: [{}], keys: { ID: {} } }] }
    const schema = configSchema({ directory: '.', variables: new Variables({}) })
    const isRight = (path: string, setting: Setting) => {
      const steps = setting.path.map(({ name }) => (name === '[]' ? '0' : name.toUpperCase().replaceAll('-', '_')))
      const variable = `EKM_GATEWAY__${steps.join('__')}`
      const { problems } = applyEnvironment(data, schema, { [variable]: 'x' })
      return textOf(path).includes(`  variable  ${variable}=`) === (problems.length === 0)
    }
    expect(wrong(isRight)).toEqual([])
  })
})
