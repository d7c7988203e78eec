/**
 * Where should synchronous PKCS#11 calls run? The measurement behind docs/adr/0002-pkcs11-isolation.md.
 *
 *   npx tsc && node dist/test/bench/pkcs11-isolation.js [seconds per figure, default 2]
 *
 * One round trip is: create a session object of 32 bytes, C_WrapKey with CKM_AES_KEY_WRAP, destroy the object. The host
 * program of every variant is this file. Needs softhsm2 and pkcs11js.
 */
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { PKCS11, type Handle } from 'pkcs11js'

const MODULE = '/usr/lib/softhsm/libsofthsm2.so'
const self = fileURLToPath(import.meta.url)
const CHANNEL_FD = 3
const FRAME_HEADER_BYTES = 8

type Wrap = (plaintext: Buffer) => Buffer

/** Logs in. Returns the round trip to measure. */
function openToken(): Wrap {
  const module = new PKCS11()
  module.load(MODULE)
  tolerate(0x191, () => module.C_Initialize({ flags: 2 })) // CRYPTOKI_ALREADY_INITIALIZED: another thread was first.
  let slot: Handle | undefined
  // SoftHSM 2.6.1 shows no token to a process that starts while another logs in.
  for (let attempt = 0; slot === undefined && attempt < 50; attempt++) {
    if (attempt > 0) {
      module.C_Finalize()
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20 * Math.random())
      module.C_Initialize({ flags: 2 })
    }
    slot = module.C_GetSlotList(true).find((id) => module.C_GetTokenInfo(id).label.trim() === 'bench')
  }
  if (slot === undefined) throw new Error('no token')
  const session = module.C_OpenSession(slot, 4)
  tolerate(0x100, () => module.C_Login(session, 1, '1234')) // USER_ALREADY_LOGGED_IN
  module.C_FindObjectsInit(session, [{ type: 3, value: 'kek' }])
  const kek = module.C_FindObjects(session, 1)[0]
  module.C_FindObjectsFinal(session)
  if (kek === undefined) throw new Error('no key')
  return (plaintext) => {
    const object = module.C_CreateObject(session, [
      { type: 0, value: 4 },
      { type: 0x100, value: 0x10 },
      { type: 1, value: false },
      { type: 0x103, value: false },
      { type: 0x162, value: true },
      { type: 0x11, value: plaintext },
    ])
    try {
      return module.C_WrapKey(session, { mechanism: 0x2109 }, kek, object, Buffer.alloc(plaintext.length + 8))
    } finally {
      module.C_DestroyObject(session, object)
    }
  }
}

function tolerate(code: number, call: () => void): void {
  try {
    call()
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error
  }
}

// ---- host programs ---------------------------------------------------------------------------------------------------

interface Message {
  readonly id: number
  readonly value: Uint8Array
}

/** A call that never returns: it reads a pipe without a writer, as a vendor's library would block in a socket. */
const hang = () => readSync(hangFd(), Buffer.alloc(1))
const hangFd = () => Number(process.env['BENCH_HANG_FD'] ?? 0)

function messageHost(receive: (handler: (m: Message) => void) => void, send: (m: Message) => void): void {
  const wrap = openToken()
  receive(({ id, value }) => {
    if (id === -1) hang()
    else if (id === -2) process.kill(process.pid, 'SIGSEGV')
    else send({ id, value: wrap(Buffer.from(value)) })
  })
  send({ id: 0, value: new Uint8Array() })
}

/** A frame is a length and an id of 32 bits each, then the value. The loop never returns to the event loop. */
function pipeHost(fd: number): void {
  const wrap = openToken()
  const input = Buffer.alloc(65536)
  let filled = 0
  writeSync(fd, frame(0, Buffer.alloc(0)))
  for (;;) {
    const count = readSync(fd, input, filled, input.length - filled, null)
    if (count === 0) process.exit(0)
    filled += count
    let at = 0
    while (filled - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + input.readUInt32LE(at)
      if (end > filled) break
      writeSync(fd, frame(input.readUInt32LE(at + 4), wrap(input.subarray(at + FRAME_HEADER_BYTES, end))))
      at = end
    }
    input.copyWithin(0, at, filled)
    filled -= at
  }
}

function frame(id: number, value: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + value.length)
  bytes.writeUInt32LE(value.length, 0)
  bytes.writeUInt32LE(id, 4)
  bytes.set(value, FRAME_HEADER_BYTES)
  return bytes
}

// ---- the main process's side ------------------------------------------------------------------------------------------

interface Host {
  send(id: number, value: Uint8Array): void
  readonly ready: Promise<void>
  readonly pid: number
  stop(): void
}
type OnReply = (id: number, value: Uint8Array) => void
type Launch = (onReply: OnReply) => Host

const threadHost: Launch = (onReply) => {
  const worker = new Worker(self, { workerData: 'thread' })
  const ready = once((resolve) =>
    worker.on('message', ({ id, value }: Message) => (id ? onReply(id, value) : resolve())),
  )
  return {
    send: (id, value) => worker.postMessage({ id, value }),
    ready,
    pid: process.pid,
    stop: () => void worker.terminate(),
  }
}

const forkHost: Launch = (onReply) => {
  const child = fork(self, ['fork'], { serialization: 'advanced' })
  const ready = once((resolve) =>
    child.on('message', (message) => {
      const { id, value } = message as Message
      if (id) onReply(id, value)
      else resolve()
    }),
  )
  return { send: (id, value) => void child.send({ id, value }), ready, pid: child.pid ?? 0, stop: () => kill(child) }
}

const pipeHostProcess: Launch = (onReply) => {
  const child = spawn(process.execPath, [self, 'pipe'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
  return pipeChannel(child, CHANNEL_FD, onReply)
}

/** `count` threads of one child. Each has its own socket pair and session. */
function launchThreadsInOneChild(count: number, onReply: OnReply): Host[] {
  const stdio: ('ignore' | 'inherit' | 'pipe')[] = ['ignore', 'inherit', 'inherit']
  for (let i = 0; i < count; i++) stdio.push('pipe')
  const child = spawn(process.execPath, [self, 'pipe-threads', String(count)], { stdio })
  return Array.from({ length: count }, (_, i) => pipeChannel(child, CHANNEL_FD + i, onReply))
}

function pipeChannel(child: ChildProcess, fd: number, onReply: OnReply): Host {
  const socket = child.stdio[fd] as Duplex
  let rest: Buffer = Buffer.alloc(0)
  const ready = once((resolve) =>
    socket.on('data', (chunk: Buffer) => {
      let data = rest.length ? Buffer.concat([rest, chunk]) : chunk
      while (data.length >= FRAME_HEADER_BYTES) {
        const end = FRAME_HEADER_BYTES + data.readUInt32LE(0)
        if (data.length < end) break
        const id = data.readUInt32LE(4)
        if (id) onReply(id, Uint8Array.prototype.slice.call(data, FRAME_HEADER_BYTES, end))
        else resolve()
        data = data.subarray(end)
      }
      rest = data
    }),
  )
  socket.on('error', () => undefined)
  return {
    send: (id, value) => void socket.write(frame(id, value)),
    ready,
    pid: child.pid ?? 0,
    stop: () => kill(child),
  }
}

const kill = (child: ChildProcess) => void child.kill('SIGKILL')
const once = (start: (resolve: () => void) => void) => new Promise<void>(start)

/** Distributes `wrap` calls over hosts, with at most `depth` calls in each host. Excess calls queue here. */
class Dispatcher {
  readonly hosts: Host[]
  readonly #depth: number
  readonly #waiting = new Map<number, (value: Uint8Array) => void>()
  readonly #queue: { id: number; value: Uint8Array }[] = []
  readonly #busy: number[]
  readonly #where = new Map<number, number>()
  #next = 1

  constructor(launch: (onReply: OnReply) => Host[], depth: number) {
    this.#depth = depth
    this.hosts = launch((id, value) => this.#replied(id, value))
    this.#busy = this.hosts.map(() => 0)
  }

  wrap(value: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve) => {
      const id = this.#next++
      this.#waiting.set(id, resolve)
      this.#queue.push({ id, value })
      this.#dispatch()
    })
  }

  #dispatch(): void {
    while (this.#queue.length) {
      const index = this.#busy.indexOf(Math.min(...this.#busy))
      if ((this.#busy[index] ?? 0) >= this.#depth) return
      const job = this.#queue.shift()
      if (!job) return
      this.#busy[index] = (this.#busy[index] ?? 0) + 1
      this.#where.set(job.id, index)
      this.hosts[index]?.send(job.id, job.value)
    }
  }

  #replied(id: number, value: Uint8Array): void {
    const index = this.#where.get(id) ?? 0
    this.#where.delete(id)
    this.#busy[index] = (this.#busy[index] ?? 1) - 1
    this.#waiting.get(id)?.(value)
    this.#waiting.delete(id)
    this.#dispatch()
  }
}

// ---- figures ----------------------------------------------------------------------------------------------------------

const dek = randomBytes(32)

const percentile = (sorted: Float64Array, p: number) => sorted[Math.floor((sorted.length - 1) * p)] ?? NaN

async function serial(wrap: (value: Uint8Array) => unknown, ms: number) {
  const times: number[] = []
  for (let i = 0; i < 300; i++) await wrap(dek)
  for (const end = performance.now() + ms; performance.now() < end;) {
    const start = performance.now()
    await wrap(dek)
    times.push((performance.now() - start) * 1000)
  }
  const sorted = Float64Array.from(times).sort()
  return `p50 ${percentile(sorted, 0.5).toFixed(0)} us, p99 ${percentile(sorted, 0.99).toFixed(0)} us`
}

async function throughput(wrap: (value: Uint8Array) => Promise<unknown>, concurrency: number, ms: number) {
  let count = 0
  const end = performance.now() + ms
  const start = performance.now()
  const cpu = process.cpuUsage()
  const loop = async () => {
    while (performance.now() < end) {
      await wrap(dek)
      count++
    }
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  const used = process.cpuUsage(cpu)
  const perCall = (used.user + used.system) / count
  return `${Math.round(count / ((performance.now() - start) / 1000))}/s, main process ${perCall.toFixed(0)} us CPU a call`
}

const rssMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024

const say = (line: string) => process.stdout.write(line + '\n')

function makeToken(): string {
  const directory = mkdtempSync(join(tmpdir(), 'pkcs11-bench-'))
  mkdirSync(join(directory, 'tokens'))
  const conf = join(directory, 'softhsm2.conf')
  writeFileSync(conf, `directories.tokendir = ${directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n`)
  process.env['SOFTHSM2_CONF'] = conf
  const options = ['--init-token', '--free', '--label', 'bench', '--pin', '1234', '--so-pin', '1234']
  execFileSync('softhsm2-util', options, { stdio: 'ignore' })
  const module = new PKCS11()
  module.load(MODULE)
  module.C_Initialize({ flags: 2 })
  const slot = module.C_GetSlotList(true).find((id) => module.C_GetTokenInfo(id).label.trim() === 'bench')
  if (slot === undefined) throw new Error('no token')
  const session = module.C_OpenSession(slot, 6)
  module.C_Login(session, 1, '1234')
  module.C_GenerateKey(session, { mechanism: 0x1080 }, [
    { type: 1, value: true },
    { type: 3, value: 'kek' },
    { type: 0x161, value: 32 },
    { type: 0x106, value: true },
    { type: 0x107, value: true },
  ])
  module.C_Finalize()
  return directory
}

async function figures(): Promise<void> {
  const ms = Number(process.argv[2] ?? 2) * 1000
  const directory = makeToken()
  try {
    const direct = openToken()
    say(`direct call on the main thread      serial: ${await serial((value) => direct(Buffer.from(value)), ms)}`)
    const many = (launch: Launch) => (count: number) => (onReply: OnReply) =>
      Array.from({ length: count }, () => launch(onReply))
    const variants: [string, (count: number) => (onReply: OnReply) => Host[], number][] = [
      ['worker_threads', many(threadHost), 32],
      ['fork, advanced serialization', many(forkHost), 32],
      ['child, frames on a socket pair', many(pipeHostProcess), 32],
      ['child, frames, one call at a time', many(pipeHostProcess), 1],
      ['one child of N threads, one call', (count) => (onReply) => launchThreadsInOneChild(count, onReply), 1],
    ]
    for (const [name, launchMany, depth] of variants) {
      for (const count of [1, 2, 4]) {
        const started = performance.now()
        const dispatcher = new Dispatcher(launchMany(count), depth)
        await Promise.all(dispatcher.hosts.map((host) => host.ready))
        const startMs = performance.now() - started
        const alone = count === 1 ? `serial: ${await serial((value) => dispatcher.wrap(value), ms)}; ` : ''
        await throughput((value) => dispatcher.wrap(value), 32, 500)
        const rate = await throughput((value) => dispatcher.wrap(value), 32, ms)
        const rss = dispatcher.hosts[0]?.pid ?? 0
        say(
          `${name.padEnd(34)} hosts ${count}: ${alone}32 at once: ${rate}; start ${startMs.toFixed(0)} ms, RSS ${rssMiB(rss).toFixed(0)} MiB`,
        )
        for (const host of dispatcher.hosts) host.stop()
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    await faults()
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The effect of a crash, and of a call that never returns, on the process that serves. */
async function faults(): Promise<void> {
  const run = (mode: string) =>
    new Promise<string>((resolve) => {
      const child = spawn(process.execPath, [self, mode], { stdio: ['pipe', 'pipe', 'inherit'] })
      let text = ''
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      child.on('exit', (code, signal) => {
        clearTimeout(timer)
        resolve(`${text.trim()} [process ended: ${signal ?? code}]`)
      })
    })
  for (const mode of ['thread-hang', 'thread-crash', 'pipe-hang', 'pipe-crash']) say(`${mode}: ${await run(mode)}`)
}

async function threadHang(): Promise<void> {
  const worker = new Worker(self, { workerData: 'thread' })
  await new Promise((resolve) => worker.once('message', resolve))
  worker.postMessage({ id: -1, value: new Uint8Array() })
  await new Promise((resolve) => setTimeout(resolve, 200))
  const ended = worker.terminate().then(() => 'terminate() ended the thread')
  const waited = new Promise((resolve) => setTimeout(() => resolve('terminate() had not ended it after 2 s'), 2000))
  say(String(await Promise.race([ended, waited])))
  process.exit(0)
}

async function threadCrash(): Promise<void> {
  const worker = new Worker(self, { workerData: 'thread' })
  await new Promise((resolve) => worker.once('message', resolve))
  worker.postMessage({ id: -2, value: new Uint8Array() })
  await new Promise((resolve) => setTimeout(resolve, 1000))
  say('the process that serves is alive')
  process.exit(0)
}

async function pipeFault(kind: 'hang' | 'crash'): Promise<void> {
  const start = () => new Dispatcher((onReply) => [pipeHostProcess(onReply)], 1)
  const first = start()
  await first.hosts[0]?.ready
  await first.wrap(dek)
  const pid = first.hosts[0]?.pid ?? 0
  const at = performance.now()
  if (kind === 'hang') process.kill(pid, 'SIGSTOP')
  process.kill(pid, kind === 'hang' ? 'SIGKILL' : 'SIGSEGV')
  const second = start()
  await second.hosts[0]?.ready
  await second.wrap(dek)
  say(`a new host served ${(performance.now() - at).toFixed(0)} ms later`)
  process.exit(0)
}

if (!isMainThread) {
  const data: unknown = workerData
  if (typeof data === 'number') pipeHost(data)
  else
    messageHost(
      (handler) => parentPort?.on('message', handler),
      (message) => parentPort?.postMessage(message),
    )
} else {
  switch (process.argv[2] ?? '') {
    case 'fork':
      messageHost(
        (handler) => process.on('message', handler as (m: unknown) => void),
        (message) => process.send?.(message),
      )
      break
    case 'pipe':
      pipeHost(CHANNEL_FD)
      break
    case 'pipe-threads':
      for (let i = 0; i < Number(process.argv[3]); i++) new Worker(self, { workerData: CHANNEL_FD + i })
      break
    case 'thread-hang':
      await threadHang()
      break
    case 'thread-crash':
      await threadCrash()
      break
    case 'pipe-hang':
      await pipeFault('hang')
      break
    case 'pipe-crash':
      await pipeFault('crash')
      break
    default:
      await figures()
      process.exit(0)
  }
}
