import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { sum } from './statistics.ts'

/*
 * Linux's view of a process and of its children. Other systems have no /proc and cannot run this.
 */

const NS_PER_SECOND = 1e9

/** A process may have ended meanwhile; it is left out. */
function read<T>(get: () => T, otherwise: T): T {
  try {
    return get()
  } catch {
    return otherwise
  }
}

const threadsOf = (pid: number) => read(() => readdirSync(`/proc/${pid}/task`), [])

/** The children of every process. Files of single threads are not read: docs/adr/0006 says what reading them can do. */
function families(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    // The command's name is in brackets and can hold any character. State and parent follow it.
    const parent = /^.*\) \S (\d+)/s.exec(read(() => readFileSync(`/proc/${name}/stat`, 'latin1'), ''))?.[1]
    if (parent !== undefined) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)])
  }
  return children
}

export const childrenOf = (pid: number): number[] => [...(families().get(pid) ?? [])]

/** The descendants of a process. */
export function descendantsOf(pid: number, children = families()): number[] {
  return (children.get(pid) ?? []).flatMap((child) => [child, ...descendantsOf(child, children)])
}

export const treeOf = (pid: number): number[] => [pid, ...descendantsOf(pid)]

/** The HSM hosts of a gateway, which are not its direct children. */
export const hostsOf = (gateway: number): number[] =>
  treeOf(gateway).filter((pid) => read(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'), '').includes('host/main'))

/** Whether the process runs. A zombie, which nobody has waited for, does not. */
export const isRunning = (pid: number): boolean =>
  read(() => !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')), false)

/** CPU seconds that the threads of `pids` have used so far. */
export function cpuSeconds(pids: readonly number[]): number {
  let nanoseconds = 0
  for (const pid of pids) {
    for (const tid of threadsOf(pid)) {
      nanoseconds += Number(read(() => readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8'), '0').split(' ')[0])
    }
  }
  return nanoseconds / NS_PER_SECOND
}

export const residentMiB = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    const status = read(() => readFileSync(`/proc/${pid}/status`, 'utf8'), '')
    return sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
  }, 0)

/** Resident pages of the program file that a process runs, in MiB. All processes of that program share them. */
export function programMiB(pid: number): number {
  const file = read(() => readlinkSync(`/proc/${pid}/exe`), '')
  const map = read(() => readFileSync(`/proc/${pid}/smaps`, 'utf8'), '')
  const sizes = map.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).map((mapping) => {
    const [head = ''] = mapping.split('\n', 1)
    return head.endsWith(` ${file}`) ? Number(/^Rss:\s+(\d+)/m.exec(mapping)?.[1] ?? 0) : 0
  })
  return sum(sizes) / 1024
}

/** Open files, sockets and pipes. */
export const handlesOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + read(() => readdirSync(`/proc/${pid}/fd`).length, 0), 0)
