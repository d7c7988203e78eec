import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, openSync, readlinkSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Cli, until } from '../commands/cli.ts'
import { accepts, BASE, takePort } from '../commands/serving.ts'
import { aesKey, writeGatewayFiles } from '../support/gateway.ts'
import { API, makeAgent, send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'
import type { Workspace } from '../support/workspace.ts'

let pki: Pki
const left: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  pki = await makePki()
})
afterAll(async () => {
  for (const release of left) await release()
})

/** Makes each audit record about a kilobyte long, so that some hundred records fill any pipe. */
const LONG = 'L'.repeat(300)
const REQUESTS = 300

interface Standard {
  readonly stdout?: 'pipe' | number
}

async function serve(destination: string, prepare: (workspace: Workspace) => Promise<Standard> = async () => ({})) {
  const { port, release } = await takePort()
  await release()
  const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], {
    listen: { port },
    // Seven gateways at once keep a machine busy.
    limits: { deadlineMs: 60_000, handshakeMs: 60_000 },
    log: { destination, level: 'debug' },
  })
  const { stdout = 'ignore' } = await prepare(workspace)
  const cli = new Cli(['serve', '--config', file], { stdio: ['ignore', stdout, 'pipe'], unread: true })
  left.push(async () => {
    cli.kill()
    await cli.ended
    await workspace.remove()
  })
  await until('the port', () => {
    if (!cli.running) throw new Error(`ended: ${cli.stderr}`)
    return accepts(port)
  })
  return { cli, port, workspace }
}

/** Sends many requests, eight at a time. Each must succeed. One that waited for the log would wait for ever. */
async function load(port: number): Promise<void> {
  const agent = makeAgent(pki)
  const body = { request_context: { request_id: LONG, correlation_id: LONG, pool_name: LONG } }
  let sent = 0
  const client = async () => {
    while (sent < REQUESTS) {
      sent += 1
      expect((await send(port, pki, { path: `${BASE}/aes-1/metadata?${API}`, body, agent })).status).toBe(200)
    }
  }
  await Promise.all(Array.from({ length: 8 }, client))
  agent.destroy()
}

async function endsCleanly(cli: Cli): Promise<void> {
  cli.kill('SIGTERM')
  expect(await cli.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
}

describe.concurrent('requests do not notice a log that', () => {
  it('goes to a pipe whose process does not read', async () => {
    const { cli, port } = await serve('stdout', async () => ({ stdout: 'pipe' }))
    await load(port)
    await endsCleanly(cli)
  })

  it('goes to a named pipe on standard output that nobody reads', async () => {
    const { cli, port } = await serve('stdout', async (workspace) => {
      execFileSync('mkfifo', ['-m', '600', workspace.path('pipe')])
      return { stdout: openSync(workspace.path('pipe'), 'r+') }
    })
    await load(port)
    await endsCleanly(cli)
  })

  it('goes to a named pipe that nobody has opened', async () => {
    const { cli, port } = await serve('pipe', async (workspace) => {
      execFileSync('mkfifo', ['-m', '600', workspace.path('pipe')])
      return {}
    })
    await load(port)
    await endsCleanly(cli)
  })

  it.each([
    ['its standard output', 'stdout'],
    ['a file of its own', '/dev/full'],
  ])('goes to a full device: %s', async (_what, destination) => {
    const full = openSync('/dev/full', 'a')
    const { cli, port } = await serve(destination, async () => ({ stdout: full }))
    closeSync(full)
    await load(port)
    await endsCleanly(cli)
  })

  it('has lost its reader, and no connection gets its descriptor', async () => {
    const { cli, port } = await serve('stdout', async () => ({ stdout: 'pipe' }))
    const descriptor = `/proc/${cli.process.pid}/fd/1`
    const before = existsSync(descriptor) && readlinkSync(descriptor)
    cli.process.stdout?.destroy()
    await load(port)
    // Long enough for the gateway to try a failed destination again.
    const since = performance.now()
    await until('a second or two', async () => {
      await accepts(port)
      return performance.now() - since > 1500
    })
    await load(port)
    expect(existsSync(descriptor) && readlinkSync(descriptor)).toBe(before)
    await endsCleanly(cli)
  })

  it('loses its directory, and later records appear when the directory is back', async () => {
    const { cli, port, workspace } = await serve('logs/gateway.log', async (workspace) => {
      await mkdir(workspace.path('logs'))
      return {}
    })
    await rm(workspace.path('logs'), { recursive: true })
    await load(port)
    await mkdir(workspace.path('logs.new'))
    await rename(workspace.path('logs.new'), workspace.path('logs'))
    await until('a record', async () => {
      await load(port)
      return (await readFile(workspace.path('logs/gateway.log'), 'utf8').catch(() => '')).includes('"event":"request"')
    })
    await endsCleanly(cli)
  })
})
