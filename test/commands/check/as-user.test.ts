import { chmod } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cli, CLI, run } from '../cli.ts'
import { expectLine, makeSite, type Site } from './site.ts'

interface Printed {
  readonly findings: readonly Readonly<Record<string, unknown>>[]
}

let site: Site
let config: string
beforeAll(async () => {
  site = await makeSite(['configuration'])
  config = await site.write()
  // The service's user can read everything except the key.
  for (const name of ['gateway.yaml', 'server.pem', 'client-root.pem']) await chmod(site.workspace.path(name), 0o644)
  await chmod(site.workspace.directory, 0o711)
})
afterAll(() => site.workspace.remove())

const isRoot = process.getuid?.() === 0
const asNobody = () =>
  run(['check', '--config', config, '--as', 'nobody', '--only', 'configuration', '--format', 'json'])

describe('check --as USER', () => {
  it('reports what that user cannot read, and only root may use it', async () => {
    const { code, stdout, stderr } = await asNobody()
    if (!isRoot) {
      expect([code, stderr]).toEqual([2, expect.stringMatching(/--as is for root alone/)])
      return
    }
    expect([code, stderr]).toEqual([1, ''])
    const { findings } = JSON.parse(stdout) as Printed
    const said = findings.filter(({ id }) => id === 'configuration.valid').map(({ found }) => found)
    expect(said).toEqual([
      expect.stringMatching(/listen\.tls\.key .*EACCES/),
      expect.stringMatching(/passphrase.*EACCES/),
    ])
    expect(findings.find(({ id }) => id === 'configuration.user')).toMatchObject({
      status: 'ok',
      found: 'all is looked at as nobody',
    })
  })

  it('knows no user that is not there', async () => {
    const { code, stderr } = await run(['check', '--config', config, '--as', 'nobody-of-that-name'])
    const says = isRoot ? /--as nobody-of-that-name: there is no such user/ : /for root alone/
    expect([code, stderr]).toEqual([2, expect.stringMatching(says)])
  })
})

it('check without --as says what root cannot see', async () => {
  const checked = await site.check()
  if (isRoot)
    expectLine(checked, 'configuration.user', 'not checked', { found: /root may read every/, advice: /--as USER/ })
  else expectLine(checked, 'configuration.user', 'ok', { found: /the user who runs this command/ })
})

/** Runs the command line below a limit on descriptors. */
const limited = (limit: number, ...args: readonly string[]) =>
  new Cli(args, { command: ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh', process.execPath, CLI] })

describe('a limit on descriptors that is too low', () => {
  it('is reported by check', async () => {
    const args = ['check', '--config', config, '--only', 'configuration.descriptors', '--format', 'json']
    const { stdout } = await limited(1024, ...args).ended
    const { findings } = JSON.parse(stdout) as Printed
    expect(findings).toHaveLength(1)
    const { id, status, fields } = findings[0] ?? {}
    expect([id, status]).toEqual(['configuration.descriptors', 'warning'])
    expect(fields).toEqual({ limit: 1024, needed: 1000 + 256 + 384 + 16 })
  })

  it('is logged at the start', async () => {
    const file = await site.write({ log: { destination: 'stdout' } }, 'serve.yaml')
    const cli = limited(1024, 'serve', '--config', file)
    try {
      await cli.says(/"event":"descriptor_limit_low","limit":1024,"needed":1656/, 30_000)
    } finally {
      cli.kill()
      await cli.ended
    }
  })

  it('is not reported where there are enough descriptors', async () => {
    const checked = await site.check({ limits: { maxConnections: 1, maxUnverifiedConnections: 1 } })
    expectLine(checked, 'configuration.descriptors', 'ok', { found: /402 may be needed/ })
  })
})
