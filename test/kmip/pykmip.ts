import { spawn, type ChildProcess } from 'node:child_process'
import { Secret, systemCode } from '../../adapters/contract/index.ts'
import { existsSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KmipOptions } from '../../adapters/kmip/index.ts'
import { issue, makePki, type Pki } from '../support/pki.ts'
import { makeWorkspace } from '../support/workspace.ts'

const PROGRAM = '/usr/bin/pykmip-server'
const START_TIMEOUT_MS = 60_000

export interface PyKmip {
  readonly pki: Pki
  readonly port: number
  /** Options of a client whose certificate PyKMIP accepts. */
  readonly options: KmipOptions
  /** Ends the server. {@link PyKmip.restart} starts it again with the same database. */
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

/** A real PyKMIP server, in its own process on loopback, with an empty database. */
export async function startPyKmip(): Promise<PyKmip> {
  if (!existsSync(PROGRAM)) {
    throw new Error(`PyKMIP is missing: apt-get update && apt-get install -y python3-pykmip (${PROGRAM})`)
  }
  const pki = await makePki()
  // PyKMIP uses the client's common name as its identity.
  const client = await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.clientCa)
  const workspace = await makeWorkspace()
  const port = await freePort()
  const configuration = await workspace.write(
    'server.conf',
    [
      '[server]',
      'hostname=127.0.0.1',
      `port=${port}`,
      `certificate_path=${await workspace.write('server.pem', pki.server.certificate)}`,
      `key_path=${await workspace.write('server.key', pki.server.key)}`,
      `ca_path=${await workspace.write('ca.pem', pki.clientCa.certificate)}`,
      'auth_suite=TLS1.2',
      'logging_level=WARNING',
      `database_path=${workspace.path('kmip.db')}`,
      `policy_path=${workspace.directory}`,
      '',
    ].join('\n'),
  )
  const log = workspace.path('server.log')
  let child: ChildProcess | undefined

  const start = async () => {
    // PyKMIP gets a process group of its own: it forks, and its processes do not end each other.
    child = spawn(PROGRAM, ['-f', configuration, '-l', log], { stdio: 'ignore', detached: true })
    process.once('exit', killGroup)
    const began = performance.now()
    while (!(await accepts(port))) {
      if (child.exitCode !== null || performance.now() - began > START_TIMEOUT_MS) {
        throw new Error(`PyKMIP did not start: ${await readFile(log, 'utf8').catch(() => 'no log')}`)
      }
      await sleep(100)
    }
  }
  const killGroup = () => {
    try {
      if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      if (systemCode(error) !== 'ESRCH') throw error
    }
  }
  const kill = async () => {
    if (child === undefined) return
    const running = child.exitCode === null && child.signalCode === null
    const ended = running ? new Promise((resolve) => child?.once('exit', resolve)) : undefined
    killGroup()
    await ended
    process.removeListener('exit', killGroup)
    child = undefined
  }
  await start()
  return {
    pki,
    port,
    options: {
      servers: [{ host: '127.0.0.1', port }],
      tls: {
        ca: Buffer.from(pki.serverCa.certificate),
        certificate: Buffer.from(client.certificate),
        key: new Secret(Buffer.from(client.key)),
      },
    },
    kill,
    restart: async () => {
      await kill()
      await start()
    },
    stop: async () => {
      await kill()
      await workspace.remove()
    },
  }
}

/** A TCP port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const settle = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket.once('connect', () => settle(true))
    socket.once('error', () => settle(false))
  })
