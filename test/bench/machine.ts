import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { promisify } from 'node:util'

/** The machine and software of a measurement. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly virtual: boolean
  readonly memoryGiB: number
  readonly kernel: string
  readonly system: string
  /** The versions of the gateway and the bare servers. */
  readonly serverNode: string
  readonly serverOpenssl: string
  readonly generatorNode: string
  readonly placement: string
}

const output = (file: string, ...args: string[]) => execFileSync(file, args, { encoding: 'utf8' }).trim()

/** @param node the Node.js binary that runs the servers */
export function describeMachine(node: string, placement: string): Machine {
  const [serverNode = '', serverOpenssl = ''] = output(
    node,
    '-p',
    'process.versions.node + " " + process.versions.openssl',
  ).split(' ')
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    virtual: / hypervisor /.test(readFileSync('/proc/cpuinfo', 'utf8')),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    system: /PRETTY_NAME="(.*)"/.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    serverNode,
    serverOpenssl,
    generatorNode: process.versions.node,
    placement,
  }
}

/** The load average of the last minute, which shows other work of the machine. */
export const loadNow = (): number => Math.round((loadavg()[0] ?? 0) * 100) / 100

const MS_PER_TICK = 10

/** Milliseconds for which the host of this virtual machine let its cores wait, all cores together, since the start. */
export function stolenMs(): number {
  const [, steal] = /^cpu +(?:\d+ ){7}(\d+)/.exec(readFileSync('/proc/stat', 'latin1')) ?? []
  return Number(steal) * MS_PER_TICK
}

/** The cores for the servers and for the load. Both are empty where processes cannot be held to a core. */
export interface Cores {
  readonly server: readonly string[]
  readonly anywhere: readonly string[]
  readonly placement: string
}

/** Holds this process, which makes the load, to the second core. Returns how to hold a server to the first. */
export function takeCores(): Cores {
  const shared = (why: string): Cores => ({ server: [], anywhere: [], placement: `no cores assigned: ${why}` })
  if (cpus().length < 2) return shared('there is only one, which servers and load generator share')
  try {
    output('taskset', '--all-tasks', '--pid', '--cpu-list', '1', String(process.pid))
  } catch {
    return shared('there is no taskset')
  }
  return {
    server: ['taskset', '--cpu-list', '0'],
    anywhere: ['taskset', '--cpu-list', `0-${cpus().length - 1}`],
    placement: 'servers on core 0, load generator on core 1',
  }
}

/** Moves running processes to the load generator's core. Ignores processes that have ended. */
export async function moveBesideGenerator(pids: readonly number[], cores: Cores): Promise<void> {
  if (cores.server.length === 0) return
  const run = promisify(execFile)
  const move = (pid: number) => run('taskset', ['--all-tasks', '--pid', '--cpu-list', '1', String(pid)])
  await Promise.allSettled(pids.map(move))
}
