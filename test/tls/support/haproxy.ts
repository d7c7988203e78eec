import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const HAPROXY = '/usr/sbin/haproxy'
const READY_MS = 5000

/** A load balancer in a process of its own, which passes TCP connections on. */
export interface Haproxy extends AsyncDisposable {
  readonly port: number
}

/**
 * Starts HAProxy in front of a port of this host. It asks every 100 ms whether a server is there.
 *
 * @param sending what it sends first: `send-proxy`, `send-proxy-v2`, or nothing
 */
export async function startHaproxy(gatewayPort: number, sending: string): Promise<Haproxy> {
  if (!existsSync(HAPROXY)) throw new Error(`${HAPROXY} is missing: apt-get install -y haproxy`)
  const directory = await mkdtemp(join(tmpdir(), 'ekm-haproxy-'))
  const port = await freePort()
  const file = join(directory, 'haproxy.cfg')
  await writeFile(
    file,
    `
global
  maxconn 4096
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend ekm
  bind 127.0.0.1:${port}
  default_backend gateways
backend gateways
  server gateway 127.0.0.1:${gatewayPort} ${sending} check inter 100
`,
  )
  const child = spawn(HAPROXY, ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error) => {
      errors += error.message
      resolve()
    })
  })
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    await rm(directory, { recursive: true })
  }
  for (const start = performance.now(); !(await accepts(port)); await setTimeout(20)) {
    if (child.exitCode === null && performance.now() - start < READY_MS) continue
    await stop()
    throw new Error(`HAProxy does not listen: ${errors}`)
  }
  return { port, [Symbol.asyncDispose]: stop }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
