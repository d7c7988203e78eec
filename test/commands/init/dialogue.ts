import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { quoted } from '../../../src/base/shell.ts'
import { CLI, until } from '../cli.ts'

const PATIENCE_MS = 90_000

/** `ekm-gateway` at a terminal of its own. `script` of util-linux provides the pseudo-terminal. */
export class Dialogue {
  readonly ended: Promise<number | null>
  readonly #script: ChildProcessWithoutNullStreams
  readonly #began = performance.now()
  #text = ''
  #heard = 0
  #typed = 0

  constructor(args: readonly string[], cwd: string, environment: Readonly<Record<string, string>> = {}) {
    const command = [process.execPath, CLI, ...args].map(quoted).join(' ')
    const env = { PATH: process.env['PATH'] ?? '', TERM: 'dumb', ...environment }
    this.#script = spawn('script', ['-qec', command, '/dev/null'], { cwd, env })
    this.#script.stdout.on('data', (chunk: Buffer) => (this.#text += chunk.toString()))
    this.#script.stdin.on('error', () => undefined)
    this.ended = new Promise((resolve) => this.#script.once('close', resolve))
  }

  /**
   * What the session has taken so far, and what a person adds to it, who reads every word on the screen at 238 words a
   * minute (the mean of Brysbaert 2019, https://doi.org/10.1016/j.jml.2019.104047) and types 200 characters a minute.
   */
  get seconds(): { readonly machine: number; readonly reading: number; readonly typing: number } {
    const words = this.text.split(/\s+/).length
    const machine = (performance.now() - this.#began) / 1000
    return { machine, reading: (words * 60) / 238, typing: (this.#typed * 60) / 200 }
  }

  /** Everything that has appeared on the screen. */
  get text(): string {
    return this.#text.replaceAll('\r', '')
  }

  /** Waits for a prompt after the answered ones, and types an answer. */
  async answer(prompt: string, typed: string): Promise<void> {
    const heard = this.#heard
    await until(
      prompt,
      () => {
        const at = this.#text.indexOf(prompt, this.#heard)
        const end = at === -1 ? -1 : this.#text.indexOf(': ', at + prompt.length)
        if (end !== -1) this.#heard = end
        else if (this.#script.exitCode !== null) throw new Error(`ended before it asked "${prompt}": ${this.text}`)
        return end !== -1
      },
      PATIENCE_MS,
    ).catch((error: unknown) => {
      throw new Error(`it does not ask "${prompt}": ${this.#text.slice(heard)}`, { cause: error })
    })
    this.#typed += typed.length + 1
    this.#script.stdin.write(`${typed}\n`)
  }

  kill(): void {
    this.#script.kill('SIGKILL')
  }
}
