import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { constants, getPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import type { StarterOrder } from '../../adapters/pkcs11/wire/starter-protocol.ts'
import { Starters } from '../../adapters/pkcs11/supervisor/starters.ts'
import { hostsOf, isRunning, treeOf } from '../bench/process-tree.ts'
import { faultyToken } from './support/faulty-token.ts'
import { context, recorder, ref, sleep, until } from './support/harness.ts'
import { PIN } from './support/softhsm.ts'

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const oneCall = pathOf('support/one-call.mjs')
const { hsm, faults } = faultyToken()

const SESSIONS = 2

const isStarter = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('starter/main')
const parentOf = (pid: number) => Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1])

async function running(work: (adapter: Pkcs11Adapter, starter: number) => Promise<void>): Promise<void> {
  const adapter = await open(hsm.options('ekm', { sessions: SESSIONS }), recorder().report)
  try {
    await until('every host serves', () => adapter.hosts.length === SESSIONS)
    await adapter.qualify(ref('aes'), context())
    await work(adapter, parentOf(adapter.hosts[0] ?? 0))
  } finally {
    await adapter.close()
  }
}

const wrap = (adapter: Pkcs11Adapter) => adapter.wrap(ref('aes'), 'A256KW', randomBytes(32), context())

/** Loses one of the hosts and waits for its successor. No call may fail. */
async function losesOneHost(adapter: Pkcs11Adapter): Promise<void> {
  const [victim = 0, survivor = 0] = adapter.hosts
  const calls = Array.from({ length: 64 }, () => wrap(adapter))
  process.kill(victim, 'SIGKILL')
  for (const wrapped of await Promise.all(calls)) expect(wrapped).toHaveLength(40)
  const replaced = () => adapter.hosts.length === SESSIONS && !adapter.hosts.includes(victim)
  await until('the host is replaced', replaced)
  expect(adapter.hosts).toContain(survivor)
  expect(await wrap(adapter)).toHaveLength(40)
}

// Each test waits for several processes to start and end, for 15 s at most each.
describe('the process that starts the hosts', () => {
  it('is the parent of all hosts, so that the gateway waits for none, and ends with the last', async () => {
    let all: number[] = []
    await running(async (adapter, starter) => {
      expect(starter).not.toBe(process.pid)
      expect(parentOf(starter)).toBe(process.pid)
      expect(adapter.hosts.map(parentOf)).toEqual([starter, starter])
      await losesOneHost(adapter)
      expect(adapter.hosts.map(parentOf)).toEqual([starter, starter])
      all = [starter, ...adapter.hosts]
    })
    await until('all have ended', () => all.every((pid) => !isRunning(pid)))
  })

  it('may die: its hosts serve on, and their end is still noticed', async () => {
    await running(async (adapter, starter) => {
      const before = adapter.hosts
      process.kill(starter, 'SIGKILL')
      await until('it is dead', () => !isRunning(starter))
      expect(await wrap(adapter)).toHaveLength(40)
      expect(adapter.hosts).toEqual(before)
      await losesOneHost(adapter)
    })
  })

  it('may hang, as in the kernel: its hosts serve on, and lost ones are replaced', async () => {
    let all: number[] = []
    await running(async (adapter, starter) => {
      process.kill(starter, 'SIGSTOP')
      try {
        all = [starter, ...adapter.hosts]
        expect(await wrap(adapter)).toHaveLength(40)
        await losesOneHost(adapter)
        all.push(...adapter.hosts)
      } finally {
        process.kill(starter, 'SIGCONT')
      }
    })
    await until('all have ended', () => all.every((pid) => !isRunning(pid)))
  })

  it('ends with its last host after it hung', async () => {
    await running(async (adapter, starter) => {
      const [, survivor = 0] = adapter.hosts
      process.kill(starter, 'SIGSTOP')
      try {
        await losesOneHost(adapter)
      } finally {
        process.kill(starter, 'SIGCONT')
      }
      expect(isRunning(starter)).toBe(true)
      expect(adapter.hosts).toContain(survivor)
      process.kill(survivor, 'SIGKILL')
      await until('it has ended', () => !isRunning(starter))
      await until('every host serves', () => adapter.hosts.length === SESSIONS)
      expect(new Set(adapter.hosts.map(parentOf)).size).toBe(1)
      expect(treeOf(process.pid).filter((pid) => isStarter(pid))).toHaveLength(1)
    })
  })

  it('may start slowly, as on a busy machine', async () => {
    const starters = new Starters()
    const waits = encodeURIComponent('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)')
    const environment = { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${waits}` }
    const stop = await new Promise<() => void>((resolve, reject) => {
      const end = starters.start(environment, { started: () => resolve(end), ended: reject })
    })
    stop()
    starters.close()
  })

  it('costs others no time if it does not report a host’s end, and starts no more hosts', async () => {
    const starters = new Starters()
    const start = () =>
      new Promise<{ pid: number; stop: () => void }>((resolve, reject) => {
        const stop = starters.start(process.env, { started: (pid) => resolve({ pid, stop }), ended: reject })
      })
    const ours = getPriority()
    const [one, other] = [await start(), await start()]
    const stuck = parentOf(one.pid)
    expect(parentOf(other.pid)).toBe(stuck)
    process.kill(stuck, 'SIGSTOP')
    try {
      one.stop()
      await until('it is given up', () => getPriority(stuck) === constants.priority.PRIORITY_LOW)
      const next = await start()
      expect(parentOf(next.pid)).not.toBe(stuck)
      expect([other.pid, next.pid, parentOf(next.pid)].map((pid) => getPriority(pid))).toEqual([ours, ours, ours])
      next.stop()
    } finally {
      process.kill(stuck, 'SIGCONT')
    }
    other.stop()
    starters.close()
    await until('all have ended', () => [one.pid, other.pid, stuck].every((pid) => !isRunning(pid)))
  })

  it('takes a host that hangs in a call with it when the gateway dies', async () => {
    faults.script('C_FindObjectsInit log', 'C_FindObjectsInit hang')
    const gateway = spawn(process.execPath, [oneCall, faults.path, 'ekm', PIN], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(gateway.stdout, 'data')) as [Buffer]
    const host = Number(line)
    await until('it hangs', () => faults.logged('C_FindObjectsInit') > 0)
    gateway.kill('SIGKILL')
    await until('the host has ended', () => !isRunning(host))
  })

  it('ends when the gateway dies before it has taken its end of a host', async () => {
    const order: StarterOrder = {
      start: 1,
      program: pathOf('../../dist/programs/host/main.js'),
      environment: process.env,
    }
    // A gateway that never reads the replies.
    const program = `
      const { fork } = require('node:child_process')
      const starter = fork(${JSON.stringify(pathOf('../../dist/programs/starter/main.js'))}, { execArgv: [] })
      starter.send(${JSON.stringify(order)}, () => { for (;;); })
    `
    const gateway = spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'ignore', 'inherit'] })
    const pid = gateway.pid ?? 0
    await until('a host is started', () => hostsOf(pid).length > 0)
    // The host's channel has reached the gateway by then.
    await sleep(300)
    const family = treeOf(pid)
    gateway.kill('SIGKILL')
    await until('all have ended', () => family.every((one) => !isRunning(one)))
  })
})
