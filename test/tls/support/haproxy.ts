import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

export const HAPROXY = '/usr/sbin/haproxy'
const READY_MS = 5000

/** A load balancer in a process of its own, which forwards TCP connections. */
export interface Haproxy extends AsyncDisposable {
  readonly port: number
  /** The result of the last check of a gateway, such as `UP L4OK` or `DOWN L7STS`. */
  health(gatewayPort: number): Promise<string>
}

/** A gateway on this machine. */
export interface HaproxyTarget {
  readonly port: number
  /** The port of `/readyz`. Without it, HAProxy only checks that the gateway's own port is open. */
  readonly adminPort?: number
  /** Sent first on each connection: `send-proxy`, `send-proxy-v2`, or nothing. */
  readonly sending?: string
}

/** Starts HAProxy in front of gateways. It checks each one every 100 ms. */
export async function startHaproxy(...gateways: readonly HaproxyTarget[]): Promise<Haproxy> {
  if (!existsSync(HAPROXY)) throw new Error(`${HAPROXY} is missing: apt-get install -y haproxy`)
  const directory = await mkdtemp(join(tmpdir(), 'ekm-haproxy-'))
  const port = await freePort()
  const file = join(directory, 'haproxy.cfg')
  const control = join(directory, 'control')
  const servers = gateways.map(({ port: gateway, adminPort = gateway, sending = '' }) => {
    return `  server gateway-${gateway} 127.0.0.1:${gateway} ${sending} check inter 100 port ${adminPort}`
  })
  await writeFile(
    file,
    `
global
  maxconn 4096
  stats socket ${control}
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  balance roundrobin
frontend ekm
  bind 127.0.0.1:${port}
  default_backend gateways
backend gateways
${gateways.some(({ adminPort }) => adminPort !== undefined) ? '  option httpchk GET /readyz' : ''}
${servers.join('\n')}
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
  // The port may be open before the socket of the statistics has its name.
  const isReady = async () => (await accepts(port)) && existsSync(control)
  for (const start = performance.now(); !(await isReady()); await setTimeout(20)) {
    if (child.exitCode === null && performance.now() - start < READY_MS) continue
    await stop()
    throw new Error(`HAProxy does not listen: ${errors}`)
  }
  return { port, health: (gateway) => healthOf(control, `gateway-${gateway}`), [Symbol.asyncDispose]: stop }
}

/**
 * The result of the last check of a server, such as `UP L4OK`.
 *
 * @param control the socket of HAProxy's statistics
 */
export async function healthOf(control: string, server: string): Promise<string> {
  const socket = connect(control)
  socket.end('show stat\n')
  const [names = [], ...rows] = (await text(socket)).split('\n').map((line) => line.replace('# ', '').split(','))
  const row = rows.find((cells) => cells[names.indexOf('svname')] === server)
  return ['status', 'check_status'].map((name) => row?.[names.indexOf(name)]).join(' ')
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
