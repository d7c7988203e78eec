import { chmod } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aesKey, writeGatewayFiles } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { Cli, expectRefusal, run } from './cli.ts'
import { BASE, startServing } from './serving.ts'

let pki: Pki
const left: { remove(): Promise<void> }[] = []
beforeAll(async () => {
  pki = await makePki()
})
afterAll(async () => {
  for (const resource of left) await resource.remove()
})

const info = { path: `${BASE}/info?${API}`, body: { request_context: CONTEXT } }

describe.concurrent('files that others can get at', { timeout: 60_000 }, () => {
  it.each(['gateway.yaml', 'client-ca.pem', 'server.key', 'passphrase'])('%s: no start', async (name) => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')])
    left.push(workspace)
    const path = workspace.path(name)
    await chmod(path, 0o666)
    const refusal = new RegExp(
      `^ekm-gateway: .*file that every user can change \\(mode 0666\\): run chmod o-w ${path}$`,
    )
    expectRefusal(await run(['serve', '--config', file]), refusal, 78)
  })

  it.each([1, 2])('a reload is refused, and the old configuration serves on, where %i serve', async (workers) => {
    const served = await startServing(pki, [aesKey('aes-1')], { workers })
    left.push(served)
    const { cli, port, logsTimes, workspace } = served
    // Nobody has to say so: the mode alone is a change.
    await chmod(workspace.path('client-ca.pem'), 0o646)
    const [failure] = await logsTimes('reload_failed', 1)
    expect(failure).toMatchObject({
      cause: 'file',
      reason: 'CONFIG_INVALID',
      message: expect.stringContaining(`run chmod o-w ${workspace.path('client-ca.pem')}`) as string,
    })
    expect((await send(port, pki, info)).status).toBe(200)
    await chmod(workspace.path('client-ca.pem'), 0o644)
    await logsTimes('reloaded', 1)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it.each([1, 2])('what only leaks is warned of, once for each change, where %i serve', async (workers) => {
    const served = await startServing(pki, [aesKey('aes-1')], { workers, top: { reload: { watch: false } } })
    left.push(served)
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
      { ...of('server.key'), mode: '0644', who: 'others', may: 'read', message: expect.stringMatching(/chmod o-r /) as string },
      { ...of('client-ca.pem'), mode: '0664', who: 'group', may: 'write', message: expect.stringMatching(/chmod g-w /) as string },
    ]) // prettier-ignore
  })

  it('is warned of at the start', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { log: { destination: 'stdout' } })
    left.push(workspace)
    await chmod(workspace.path('passphrase'), 0o604)
    const cli = new Cli(['serve', '--config', file])
    left.push({ remove: async () => cli.kill() })
    expect(await cli.says(/"event":"file_exposed","file":"([^"]*)"/)).toBe(workspace.path('passphrase'))
  })
})
