import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { v8Arguments } from '../../adapters/contract/node-arguments.ts'
import { descendantsOf } from '../bench/process-tree.ts'
import { CLI, Cli, until } from '../commands/cli.ts'
import { listeningPort } from '../commands/serving.ts'
import { MODULE, PIN, softHsm } from '../pkcs11/support/softhsm.ts'
import { contosoPool, writeGatewayFiles } from '../support/gateway.ts'
import { makePki } from '../support/pki.ts'

const WORKERS = 2
/** Each worker has a starter and an HSM host. */
const PROCESSES = 3 * WORKERS

it('gives workers, starters and HSM hosts one V8 thread and a small young generation each', async () => {
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
    for (const words of programs) expect(words).toEqual(expect.arrayContaining([...v8Arguments]))
  } finally {
    cli.kill()
    await cli.ended
    await workspace.remove()
    hsm.remove()
  }
})

it('has the release and the image start the gateway so, too', () => {
  const textOf = (path: string) => readFileSync(new URL(`../../deploy/${path}`, import.meta.url), 'utf8')
  const image = JSON.parse(textOf('oci/config.json')) as { readonly config: { readonly Entrypoint: readonly string[] } }
  expect(image.config.Entrypoint.slice(1, -1)).toEqual(v8Arguments)
  expect(textOf('release/ekm-gateway.sh')).toContain(`/node" ${v8Arguments.join(' ')} "`)
})

it('leaves the last word to the operator who starts Node.js', async () => {
  const { workspace, file } = await writeGatewayFiles(await makePki(), [], {
    workers: WORKERS,
    log: { destination: 'stdout' },
  })
  const command = [process.execPath, '--max-semi-space-size=32', CLI] as const
  const cli = new Cli(['serve', '--config', file], { command: [...command] })
  try {
    await listeningPort(cli)
    const [worker = 0] = descendantsOf(cli.process.pid ?? 0)
    const words = readFileSync(`/proc/${worker}/cmdline`, 'utf8').split('\0')
    expect(words.findLast((word) => word.startsWith('--max-semi-space-size'))).toBe('--max-semi-space-size=32')
  } finally {
    cli.kill()
    await cli.ended
    await workspace.remove()
  }
})
