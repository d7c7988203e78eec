import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

const HAPROXY = '/usr/sbin/haproxy'
const READY_MS = 5000

/** A load balancer in a process of its own, which passes TCP connections on. */
export interface Haproxy extends AsyncDisposable {
  readonly port: number
  /** What its last check of a gateway said, e.g. `UP L4OK` or `DOWN L7STS`. */
  health(gatewayPort: number): Promise<string>
}

/** A gateway on this machine. */
export interface HaproxyTarget {
  readonly port: number
  /** Where `/readyz` is asked; without it, it is seen whether the gateway's own port is open. */
  readonly adminPort?: number
  /** What is sent first: `send-proxy`, `send-proxy-v2`, or nothing. */
  readonly sending?: string
}

/** Starts HAProxy in front of gateways. It asks each every 100 ms whether it is there. */
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
  for (const start = performance.now(); !(await accepts(port)); await setTimeout(20)) {
    if (child.exitCode === null && performance.now() - start < READY_MS) continue
    await stop()
    throw new Error(`HAProxy does not listen: ${errors}`)
  }
  const health = async (gateway: number) => healthIn(await ask(control, 'show stat'), gateway)
  return { port, health, [Symbol.asyncDispose]: stop }
}

/** HAProxy's answer to a command. */
async function ask(control: string, command: string): Promise<string> {
  const socket = connect(control)
  socket.end(`${command}\n`)
  return text(socket)
}

/** From the table that `show stat` gives. */
function healthIn(table: string, gateway: number): string {
  const [names = [], ...rows] = table.split('\n').map((line) => line.replace('# ', '').split(','))
  const row = rows.find((cells) => cells[names.indexOf('svname')] === `gateway-${gateway}`)
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
