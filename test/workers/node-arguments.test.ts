import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { descendantsOf } from '../bench/process-tree.ts'
import { Cli, until } from '../commands/cli.ts'
import { listeningPort } from '../commands/serving.ts'
import { MODULE, PIN, softHsm } from '../pkcs11/support/softhsm.ts'
import { contosoPool, writeGatewayFiles } from '../support/gateway.ts'
import { makePki } from '../support/pki.ts'

const WORKERS = 2
/** Each worker has a starter and an HSM host. */
const PROCESSES = 3 * WORKERS

it('leaves workers, starters and HSM hosts one V8 thread each, so that none takes the core from its program', async () => {
  const hsm = softHsm()
  hsm.initToken('threads')
  const { workspace, file } = await writeGatewayFiles(await makePki(), [], {
    workers: WORKERS,
    files: { pin: PIN },
    log: { destination: 'stdout' },
    backend: { kind: 'pkcs11', module: MODULE, token: { label: 'threads' }, pin: { file: 'pin' }, sessions: WORKERS },
    pools: [contosoPool('contoso', { aes: {} })],
  })
  const cli = new Cli(['serve', '--config', file], {
    environment: { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' },
  })
  try {
    await listeningPort(cli)
    const programs = await until('every process runs', () => {
      const all = descendantsOf(cli.process.pid ?? 0)
      return all.length === PROCESSES && all.map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
    })
    for (const words of programs) expect(words).toContain('--v8-pool-size=1')
  } finally {
    cli.kill()
    await cli.ended
    await workspace.remove()
    hsm.remove()
  }
})
