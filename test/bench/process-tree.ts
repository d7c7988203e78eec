import { readdirSync, readFileSync } from 'node:fs'

/*
 * What Linux says of a process and of those that it started. Everything but Linux has no /proc and cannot run this.
 */

const NS_PER_SECOND = 1e9

/** What has ended meanwhile has nothing to say. */
function read<T>(get: () => T, otherwise: T): T {
  try {
    return get()
  } catch {
    return otherwise
  }
}

const threadsOf = (pid: number) => read(() => readdirSync(`/proc/${pid}/task`), [])

/** Of every process there is, its children. Nothing of a thread's own is read: docs/adr/0006 says what that can do. */
function families(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    // The command's name, in brackets, can hold anything; state and parent come after it.
    const parent = /^.*\) \S (\d+)/s.exec(read(() => readFileSync(`/proc/${name}/stat`, 'latin1'), ''))?.[1]
    if (parent !== undefined) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)])
  }
  return children
}

export const childrenOf = (pid: number): number[] => [...(families().get(pid) ?? [])]

/** Its children, theirs, and so on. */
export function descendantsOf(pid: number, children = families()): number[] {
  return (children.get(pid) ?? []).flatMap((child) => [child, ...descendantsOf(child, children)])
}

export const treeOf = (pid: number): number[] => [pid, ...descendantsOf(pid)]

/** The HSM hosts of a gateway, which are not its own children. */
export const hostsOf = (gateway: number): number[] =>
  treeOf(gateway).filter((pid) => read(() => readFileSync(`/proc/${pid}/cmdline`, 'latin1'), '').includes('host/main'))

/** A process that has ended and that nobody has waited for yet, a zombie, runs no more. */
export const isRunning = (pid: number): boolean =>
  read(() => !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')), false)

/** Seconds that the threads of `pids` have spent on a core so far. */
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

/** Open files, sockets and pipes. */
export const handlesOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + read(() => readdirSync(`/proc/${pid}/fd`).length, 0), 0)
