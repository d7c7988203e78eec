import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

export const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url))
if (!existsSync(CLI)) throw new Error(`${CLI} is missing: run npm run build first, as npm test does`)

export interface StartOptions {
  readonly cwd?: string
  /** Beside PATH, which every program has. */
  readonly environment?: Readonly<Record<string, string>>
  readonly stdio?: StdioOptions
  readonly input?: string | Uint8Array
  /** Leaves what it writes to standard output where it is. */
  readonly unread?: boolean
  /** A program in place of the command line's own. */
  readonly program?: string
  /** Whether it leads a process group of its own. */
  readonly detached?: boolean
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** `ekm-gateway` as a process of its own. */
export class Cli {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  readonly #started = performance.now()
  #stdout = ''
  #stderr = ''

  constructor(
    args: readonly string[],
    {
      cwd,
      environment = {},
      stdio = 'pipe',
      input,
      unread = false,
      program = CLI,
      detached = false,
    }: StartOptions = {},
  ) {
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    this.process = spawn(process.execPath, [program, ...args], { cwd, env, stdio, detached })
    if (!unread) this.process.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()))
    this.process.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()))
    this.process.stdin?.on('error', () => undefined)
    this.process.stdin?.end(input)
    this.ended = new Promise((resolve) => {
      this.process.once(unread ? 'exit' : 'close', (code: number | null, signal: NodeJS.Signals | null) =>
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }),
      )
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  /** Milliseconds since it was started. */
  get age(): number {
    return performance.now() - this.#started
  }

  /** What the first group of `pattern` matches, once it is on standard output; rejects if the process ends without it. */
  async says(pattern: RegExp, patienceMs?: number): Promise<string> {
    const ask = () => {
      const [all, group = all] = pattern.exec(this.#stdout) ?? []
      if (group === undefined && !this.running) throw new Error(`ended without it: ${this.#stdout}${this.#stderr}`)
      return group
    }
    return until(`${pattern.source} on standard output`, ask, patienceMs)
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.process.kill(signal)
  }
}

export const run = (args: readonly string[], options?: StartOptions): Promise<Ended> => new Cli(args, options).ended

/** Asks again and again, until there is something other than `undefined` or `false`. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  patienceMs = 10_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A refusal as an operator wants to see it: one line that says it, no stack trace, a status other than 0. */
export function expectRefusal(ended: Ended, says: RegExp, code = 1): void {
  expect({ ...ended, stderr: ended.stderr.trim() }).toEqual({
    code,
    signal: null,
    stdout: '',
    stderr: expect.stringMatching(says) as string,
  })
  expect(ended.stderr.trim().split('\n')).toHaveLength(1)
  expect(ended.stderr).not.toMatch(/^\s+at |\.js:\d+|node:/m)
}
