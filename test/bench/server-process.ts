import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Launch {
  /** How to hold the process to a core: words in front of the command. */
  readonly prefix: readonly string[]
  readonly command: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Written to the process's standard input, which is then closed. */
  readonly input?: string
}

const STOP_MS = 10_000
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** A server in a process of its own, which ends no later than this one. */
export class ServerProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #errors = ''

  constructor({ prefix, command, environment = {}, input }: Launch) {
    const [file = '', ...args] = [...prefix, ...command]
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    this.#child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    running.add(this.#child)
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
    this.#child.stdin?.on('error', () => undefined)
    this.#child.stdin?.end(input)
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => {
        running.delete(this.#child)
        resolve()
      })
      this.#child.once('error', (error) => {
        this.#errors += error.message
        running.delete(this.#child)
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The first line of the process's standard output. */
  async firstLine(): Promise<string> {
    const { stdout } = this.#child
    if (stdout === null) throw new Error('no standard output')
    const line = new Promise<string>((resolve) => createInterface({ input: stdout }).once('line', resolve))
    return Promise.race([line, this.failure()])
  }

  /** Rejects when the process ends. */
  async failure(): Promise<never> {
    await this.#ended
    throw new Error(`a server ended by itself: ${this.#errors}`)
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGINT')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#ended
    clearTimeout(timer)
  }
}
