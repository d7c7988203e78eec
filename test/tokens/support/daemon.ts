import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { vi } from 'vitest'

/** A program that a token needs, which can be killed and started again. */
export class Daemon {
  readonly #command: string
  readonly #options: readonly string[]
  readonly #isUp: () => boolean
  #child: ChildProcess | undefined

  constructor(command: string, options: readonly string[], isUp: () => boolean) {
    this.#command = command
    this.#options = options
    this.#isUp = isUp
  }

  async start(): Promise<void> {
    this.#child = spawn(this.#command, this.#options, { stdio: 'ignore', detached: true })
    await once(this.#child, 'spawn')
    await vi.waitFor(() => {
      if (!this.#isUp()) throw new Error(`${this.#command} is not up`)
    }, 10_000)
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    // The children are killed too: a p11-kit server has a process for each connection.
    process.kill(-child.pid, signal)
    await once(child, 'exit')
  }
}
