import { constants, createWriteStream, fstat, open, stat, type Stats } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { promisify } from 'node:util'

/** Where log lines go: `stdout`, `stderr`, or the absolute path of a file to append to. */
export type LogDestination = string

/** Text, or what becomes text when it is written. */
export interface LogText {
  /** In UTF-16 code units, or thereabouts. */
  readonly length: number
  toString(): string
}

/** What a destination may owe before lines are dropped, in bytes. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024
const TEND_MS = 1000
/** Lines are kept so long for those that come after them: what a write costs hardly depends on its length. */
const GATHER_MS = 25
/** So much is written without waiting for more, in UTF-16 code units. */
const GATHER_LENGTH = 256 * 1024
const FILE_MODE = 0o640

/**
 * Takes whole lines and never makes the caller wait: what a slow, blocked or full destination does not take is kept up
 * to a bound, then dropped and counted. A file that failed, was moved or removed is opened
 * again within a second.
 */
export class LogSink {
  readonly #destination: LogDestination
  /** A line that says how many were lost, written as soon as lines can be written again. */
  readonly #lossNotice: (lines: number) => string
  #target: Target | undefined
  #batch: LogText[] = []
  #batchBytes = 0
  #gathering: NodeJS.Timeout | undefined
  #batchLines = 0
  #dropped = 0
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

  /** Lines lost so far and not yet told of. */
  get dropped(): number {
    return this.#dropped
  }

  /** Takes a line, or several at once. */
  write(line: LogText, lines = 1): void {
    const owed = this.#batchBytes + (this.#target?.stream.writableLength ?? 0)
    if (this.#closed || owed + line.length > MAX_PENDING_BYTES) {
      this.#dropped += lines
      return
    }
    this.#batch.push(line)
    this.#batchBytes += line.length
    this.#batchLines += lines
    if (this.#batchBytes >= GATHER_LENGTH) this.#flush()
    else this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS)
  }

  /** Writes what is owed and lets go, at the latest after `patienceMs`. */
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
      // Others may have a standard stream too: if it is a socket, as systemd's is, to end it would end it for them.
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
      if (error) this.#dropped += lines + told
    })
  }

  #adopt(target: Target): void {
    this.#target = target
    target.stream.on('error', () => {
      // What is written to a pipe that broke for good counts as lost.
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
  /** Absent for a standard stream. */
  readonly path?: string
  /** Whether opening it again can help: not where a standard stream is a pipe whose reader has gone. */
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

/** To open a named pipe for writing alone would wait for a reader. */
async function flagsFor(path: string): Promise<number> {
  const stats = await promisify(stat)(path).catch(() => undefined)
  return stats?.isFIFO() ? O_RDWR | O_NONBLOCK : O_WRONLY | O_APPEND | O_CREAT
}

const isPipe = (stats: Stats) => stats.isFIFO() || stats.isSocket()

/** A pipe is written without blocking: a thread stuck in write(2) would keep the process from ending. */
function openStream(fd: number, stats: Stats): Writable {
  if (isPipe(stats)) return new Socket({ fd, readable: false, writable: true })
  return createWriteStream('', { fd, autoClose: fd > 2 })
}

/** Whether a file is still the one of that name: log rotation moves it away. */
async function isStillThere({ path, stats }: Target): Promise<boolean> {
  if (path === undefined) return true
  const now = await promisify(stat)(path).catch(() => undefined)
  return now?.ino === stats.ino && now.dev === stats.dev
}
