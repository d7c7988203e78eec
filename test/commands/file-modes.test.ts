import { chmod } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { aesKey, writeGatewayFiles } from '../support/gateway.ts'
import { send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { leftovers } from '../support/leftovers.ts'
import { Cli, expectRefusal, run } from './cli.ts'
import { infoRequest, startServing } from './serving.ts'

let pki: Pki
const removeLater = leftovers()
beforeAll(async () => {
  pki = await makePki()
})

describe.concurrent('serve, with a file that others can get at,', () => {
  it.each(['gateway.yaml', 'client-ca.pem', 'server.key', 'passphrase'])('refuses to start: %s', async (name) => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')])
    removeLater(workspace)
    const path = workspace.path(name)
    await chmod(path, 0o666)
    const refusal = new RegExp(
      `^ekm-gateway: .*file that every user can change \\(mode 0666\\): run chmod o-w ${path}$`,
    )
    expectRefusal(await run(['serve', '--config', file]), refusal, 78)
  })

  it.each([1, 2])('refuses the reload and serves on with the old configuration, with workers: %i', async (workers) => {
    const served = await startServing(pki, [aesKey('aes-1')], { workers })
    removeLater(served)
    const { cli, port, logsTimes, workspace } = served
    // No signal is needed: a changed mode alone triggers the reload.
    await chmod(workspace.path('client-ca.pem'), 0o646)
    const [failure] = await logsTimes('reload_failed', 1)
    expect(failure).toMatchObject({
      cause: 'file',
      reason: 'CONFIG_INVALID',
      message: expect.stringContaining(`run chmod o-w ${workspace.path('client-ca.pem')}`) as string,
    })
    expect((await send(port, pki, infoRequest)).status).toBe(200)
    await chmod(workspace.path('client-ca.pem'), 0o644)
    await logsTimes('reloaded', 1)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it.each([1, 2])(
    'warns of files that others can only read, once for each change, with workers: %i',
    async (workers) => {
      const served = await startServing(pki, [aesKey('aes-1')], { workers, top: { reload: { watch: false } } })
      removeLater(served)
      const { cli, logged, logsTimes, workspace } = served
      expect(logged('file_exposed')).toEqual([])
      await chmod(workspace.path('server.key'), 0o644)
      for (let count = 1; count <= 2; count += 1) {
        cli.kill('SIGHUP')
        await logsTimes('reloaded', count)
      }
      await chmod(workspace.path('client-ca.pem'), 0o664)
      cli.kill('SIGHUP')
      await logsTimes('reloaded', 3)
      const of = (name: string) => ({ level: 'warn', file: workspace.path(name) })
      expect(await logsTimes('file_exposed', 2)).toMatchObject([
        {
          ...of('server.key'),
          mode: '0644',
          who: 'others',
          may: 'read',
          message: expect.stringMatching(/chmod o-r /) as string,
        },
        {
          ...of('client-ca.pem'),
          mode: '0664',
          who: 'group',
          may: 'write',
          message: expect.stringMatching(/chmod g-w /) as string,
        },
      ])
    },
  )

  it('warns at the start', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { log: { destination: 'stdout' } })
    removeLater(workspace)
    await chmod(workspace.path('passphrase'), 0o604)
    const cli = new Cli(['serve', '--config', file])
    removeLater({ remove: async () => cli.kill() })
    expect(await cli.says(/"event":"file_exposed","file":"([^"]*)"/)).toBe(workspace.path('passphrase'))
  })
})
