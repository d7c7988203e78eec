import { constants, createWriteStream, fstat, open, stat, type Stats } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'

/** The destination of log lines: `stdout`, `stderr`, or the absolute path of a file to append to. */
export type LogDestination = string

/** Text, or something that becomes text when it is written. */
export interface LogText {
  /** The approximate length in UTF-16 code units. */
  readonly length: number
  toString(): string
}

/** Bytes that a destination may be behind before lines are dropped. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024
const TEND_MS = 1000
/** Milliseconds that lines wait for others, because the cost of a write hardly depends on its length. */
const GATHER_MS = 25
/** UTF-16 code units that are written without waiting for more. */
const GATHER_LENGTH = 256 * 1024
const FILE_MODE = 0o640

/**
 * Takes whole lines and never makes the caller wait. Lines that a slow, blocked or full destination does not take are
 * kept up to a bound, then dropped and counted. A file that failed, was moved or was removed is opened again within a
 * second.
 */
export class LogSink {
  readonly #destination: LogDestination
  /** Makes the line that reports how many lines were lost. It is written as soon as lines can be written again. */
  readonly #lossNotice: (lines: number) => string
  #target: Target | undefined
  #batch: LogText[] = []
  #batchBytes = 0
  #gathering: NodeJS.Timeout | undefined
  #batchLines = 0
  #dropped = 0
  #lost = 0
  #tending: NodeJS.Timeout | undefined
  #closed = false

  private constructor(destination: LogDestination, target: Target, lossNotice: (lines: number) => string) {
    this.#destination = destination
    this.#lossNotice = lossNotice
    this.#adopt(target)
    if (target.renewable) this.#tendLater()
  }

  /** Rejects with the system's error if a file cannot be opened for appending. */
  static async open(destination: LogDestination, lossNotice: (lines: number) => string): Promise<LogSink> {
    return new LogSink(destination, await openTarget(destination), lossNotice)
  }

  /** Lost lines that have not been reported yet. */
  get dropped(): number {
    return this.#dropped
  }

  /** All lost lines. */
  get lost(): number {
    return this.#lost
  }

  /** Takes one line, or several at once. */
  write(line: LogText, lines = 1): void {
    const owed = this.#batchBytes + (this.#target?.stream.writableLength ?? 0)
    if (this.#closed || owed + line.length > MAX_PENDING_BYTES) {
      this.#drop(lines)
      return
    }
    this.#batch.push(line)
    this.#batchBytes += line.length
    this.#batchLines += lines
    if (this.#batchBytes >= GATHER_LENGTH) this.#flush()
    else this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS)
  }

  /** Writes what is pending, and closes after at most `patienceMs` milliseconds. */
  async close(patienceMs: number): Promise<void> {
    this.#flush()
    this.#closed = true
    clearTimeout(this.#tending)
    if (this.#target === undefined) return
    const { stream, path } = this.#target
    const isWritten = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), patienceMs)
      const done = () => {
        clearTimeout(timer)
        resolve(true)
      }
      // Other processes may have the same standard stream. If it is a socket, as systemd's is, ending it would end it
      // for them.
      if (path === undefined) stream.write('', done)
      else stream.end(done)
    })
    if (path !== undefined || !isWritten) stream.destroy()
  }

  #flush(): void {
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    if (this.#target === undefined || this.#batch.length === 0) return
    const told = this.#dropped
    const lines = this.#batchLines
    const text = this.#batch.join('') + (told > 0 ? this.#lossNotice(told) : '')
    this.#dropped = 0
    this.#batch = []
    this.#batchBytes = 0
    this.#batchLines = 0
    this.#target.stream.write(text, (error) => {
      if (!error) return
      this.#drop(lines)
      // The report of lost lines was lost with them.
      this.#dropped += told
    })
  }

  #drop(lines: number): void {
    this.#dropped += lines
    this.#lost += lines
  }

  #adopt(target: Target): void {
    this.#target = target
    target.stream.on('error', () => {
      // Lines that are written to a permanently broken pipe count as lost.
      if (this.#target === target && target.renewable) this.#target = undefined
    })
  }

  #tendLater(): void {
    this.#tending = setTimeout(() => {
      void this.#tend().finally(() => {
        if (!this.#closed) this.#tendLater()
      })
    }, TEND_MS)
    this.#tending.unref()
  }

  async #tend(): Promise<void> {
    const old = this.#target
    if (old !== undefined && (await isStillThere(old))) return
    this.#target = undefined
    old?.stream.end()
    const target = await openTarget(this.#destination).catch(() => undefined)
    if (target === undefined) return
    if (this.#closed) target.stream.destroy()
    else this.#adopt(target)
    this.#flush()
  }
}

interface Target {
  readonly stream: Writable
  readonly stats: Stats
  /** Undefined for a standard stream. */
  readonly path?: string
  /** Whether reopening can help. It cannot if a standard stream is a pipe whose reader has gone. */
  readonly renewable: boolean
}

async function openTarget(destination: LogDestination): Promise<Target> {
  const standard = { stdout: 1, stderr: 2 }[destination]
  if (standard !== undefined) {
    const stats = await promisify(fstat)(standard)
    return { stream: openStream(standard, stats), stats, renewable: !isPipe(stats) }
  }
  const fd = await promisify(open)(destination, await flagsFor(destination), FILE_MODE)
  const stats = await promisify(fstat)(fd)
  return { stream: openStream(fd, stats), stats, path: destination, renewable: true }
}

const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDWR, O_WRONLY } = constants

/** Opening a named pipe only for writing would wait for a reader. */
async function flagsFor(path: string): Promise<number> {
  const stats = await promisify(stat)(path).catch(() => undefined)
  return stats?.isFIFO() ? O_RDWR | O_NONBLOCK : O_WRONLY | O_APPEND | O_CREAT
}

const isPipe = (stats: Stats) => stats.isFIFO() || stats.isSocket()

/** A pipe is written without blocking: a thread that is stuck in write(2) would keep the process from ending. */
function openStream(fd: number, stats: Stats): Writable {
  if (isPipe(stats)) return new Socket({ fd, readable: false, writable: true })
  return createWriteStream('', { fd, autoClose: fd > 2 })
}

/** Whether the path still leads to this file. Log rotation moves it away. */
async function isStillThere({ path, stats }: Target): Promise<boolean> {
  if (path === undefined) return true
  const now = await promisify(stat)(path).catch(() => undefined)
  return now?.ino === stats.ino && now.dev === stats.dev
}
