import { createWriteStream, fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

/** Where log lines go: `stdout`, `stderr`, or the absolute path of a file to append to. */
export type LogDestination = string

/** What a destination may owe before lines are dropped, in bytes. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024
const REOPEN_MS = 1000

const standardStreams: Readonly<Record<string, number>> = { stdout: 1, stderr: 2 }

/**
 * Takes whole lines and never makes the caller wait: what a slow, blocked or full destination does not take is kept up
 * to a bound, then dropped and counted. A destination that fails is opened again every second.
 */
export class LogSink {
  readonly #destination: LogDestination
  /** A line that says how many were lost, written as soon as lines can be written again. */
  readonly #lossNotice: (lines: number) => string
  #stream: Writable | undefined
  #batch: string[] = []
  #batchBytes = 0
  #dropped = 0
  #reopening: NodeJS.Timeout | undefined
  #closed = false

  private constructor(destination: LogDestination, stream: Writable, lossNotice: (lines: number) => string) {
    this.#destination = destination
    this.#lossNotice = lossNotice
    this.#adopt(stream)
  }

  /** Rejects with the system's error if a file cannot be opened for appending. */
  static async open(destination: LogDestination, lossNotice: (lines: number) => string): Promise<LogSink> {
    return new LogSink(destination, await openDestination(destination), lossNotice)
  }

  /** Lines lost so far and not yet told of. */
  get dropped(): number {
    return this.#dropped
  }

  write(line: string): void {
    const owed = this.#batchBytes + (this.#stream?.writableLength ?? 0)
    if (this.#closed || owed + line.length > MAX_PENDING_BYTES) {
      this.#dropped += 1
      return
    }
    this.#batch.push(line)
    this.#batchBytes += line.length
    // One write for all the lines of this turn of the event loop.
    if (this.#batch.length === 1) setImmediate(() => this.#flush())
  }

  /** Writes what is owed and lets go, at the latest after `patienceMs`. */
  async close(patienceMs: number): Promise<void> {
    this.#flush()
    this.#closed = true
    clearTimeout(this.#reopening)
    const stream = this.#stream
    if (stream === undefined) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patienceMs)
      stream.once('close', resolve)
      stream.end(() => {
        clearTimeout(timer)
        resolve()
      })
    })
    stream.destroy()
  }

  #flush(): void {
    const stream = this.#stream
    if (stream === undefined || this.#batch.length === 0) return
    const notice = this.#dropped > 0 ? this.#lossNotice(this.#dropped) : ''
    this.#dropped = 0
    const lines = this.#batch.length
    const text = this.#batch.join('') + notice
    this.#batch = []
    this.#batchBytes = 0
    stream.write(text, (error) => {
      if (error) this.#dropped += lines
    })
  }

  #adopt(stream: Writable): void {
    this.#stream = stream
    stream.on('error', () => {
      if (this.#stream !== stream) return
      this.#stream = undefined
      this.#reopenLater()
    })
  }

  #reopenLater(): void {
    if (this.#closed) return
    this.#reopening = setTimeout(() => {
      openDestination(this.#destination).then(
        (stream) => {
          this.#adopt(stream)
          this.#flush()
        },
        () => this.#reopenLater(),
      )
    }, REOPEN_MS)
    this.#reopening.unref()
  }
}

async function openDestination(destination: LogDestination): Promise<Writable> {
  const standard = standardStreams[destination]
  if (standard === undefined) {
    const handle = await open(destination, 'a', 0o640)
    return handle.createWriteStream()
  }
  const kind = fstatSync(standard)
  // A pipe is written without blocking: a thread stuck in write(2) would keep the process from ending.
  if (kind.isFIFO() || kind.isSocket()) return new Socket({ fd: standard, readable: false, writable: true })
  return createWriteStream('', { fd: standard, autoClose: false })
}
