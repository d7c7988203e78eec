import { spawn, type ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { wipeableCopy } from '../../contract/index.ts'
import { FrameReader, FrameWriter } from '../frames.ts'

// A module's text cannot be rewritten by the compiler, so the name of the program follows that of this file.
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const program = fileURLToPath(new URL(`../host/main.${extension}`, import.meta.url))
const CHANNEL = 3

export interface HostListener {
  /** `payload` is the listener's own copy. */
  replied(id: number, answer: number, payload: Uint8Array): void
  /** Once, when the process has ended or its channel broke; `why` is for people. */
  ended(why: string): void
}

/** A child process that runs `host/main.ts`, and the socket pair to it. */
export class HostProcess {
  readonly #child: ChildProcess
  readonly #socket: Duplex
  #listener: HostListener | undefined
  #nextId = 0
  readonly #frames = new FrameWriter()

  /** `environment` is all that the process sees of the gateway's; the vendor's library may need any of it. */
  constructor(environment: NodeJS.ProcessEnv, listener: HostListener) {
    this.#listener = listener
    this.#child = spawn(process.execPath, [program], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      env: environment,
    })
    this.#socket = this.#child.stdio[CHANNEL] as Duplex
    const reader = new FrameReader()
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk, ({ id, kind, payload }) => this.#listener?.replied(id, kind, wipeableCopy(payload)))
      } catch {
        this.#child.kill('SIGKILL')
      }
      chunk.fill(0)
    })
    // Whatever is wrong with the channel, how the process ended says more.
    this.#socket.on('error', () => this.#child.kill('SIGKILL'))
    this.#socket.on('end', () => this.#child.kill('SIGKILL'))
    this.#child.on('error', (error) => this.#end(`it could not be started: ${error.message}`))
    this.#child.on('exit', (code, signal) =>
      this.#end(signal === null ? `it exited (${code})` : `it died of ${signal}`),
    )
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Sends a copy of `payload` and gives the id that the answer will bear. */
  send(kind: number, payload: Uint8Array): number {
    this.#nextId = (this.#nextId + 1) >>> 0
    // Calls of the same moment go in one write.
    if (this.#frames.isEmpty) process.nextTick(() => this.#write())
    this.#frames.add({ id: this.#nextId, kind, payload })
    return this.#nextId
  }

  /** Ends the process at once, whatever it is doing; the listener hears no more of it. */
  kill(): Promise<void> {
    this.#listener = undefined
    const { exitCode, signalCode, pid } = this.#child
    this.#socket.destroy()
    if (exitCode !== null || signalCode !== null || pid === undefined) return Promise.resolve()
    return new Promise((resolve) => {
      this.#child.once('exit', () => resolve())
      this.#child.kill('SIGKILL')
    })
  }

  #write(): void {
    const bytes = this.#frames.take()
    this.#socket.write(bytes, () => bytes.fill(0))
  }

  #end(why: string): void {
    const listener = this.#listener
    this.#listener = undefined
    this.#child.kill('SIGKILL')
    this.#socket.destroy()
    listener?.ended(why)
  }
}

/** The gateway's environment without any variable that holds the PIN. */
export function hostEnvironment(pin: Uint8Array | undefined): NodeJS.ProcessEnv {
  const text = pin && Buffer.from(pin).toString('utf8')
  return Object.fromEntries(Object.entries(process.env).filter(([, value]) => text === undefined || value !== text))
}
