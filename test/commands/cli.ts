import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'

export const CLI = fileURLToPath(new URL('../../dist/programs/cli.js', import.meta.url))
if (!existsSync(CLI)) throw new Error(`${CLI} is missing: run npm run build first, as npm test does`)

export interface StartOptions {
  readonly cwd?: string
  /** Variables beside PATH, which every program gets. */
  readonly environment?: Readonly<Record<string, string>>
  readonly stdio?: StdioOptions
  readonly input?: string | Uint8Array
  /** Leaves standard output unread. */
  readonly unread?: boolean
  /** A program other than the command line's own. */
  readonly program?: string
  /** A command line that replaces Node.js and the program; the arguments follow it. */
  readonly command?: readonly [string, ...string[]]
  /** Whether the process leads a process group of its own. */
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
      command: [first, ...others] = [process.execPath, program],
      detached = false,
    }: StartOptions = {},
  ) {
    const env = { PATH: process.env['PATH'] ?? '', ...environment }
    this.process = spawn(first, [...others, ...args], { cwd, env, stdio, detached })
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

  /** Milliseconds since the process started. */
  get age(): number {
    return performance.now() - this.#started
  }

  /**
   * Resolves with the first group of `pattern` once it appears on standard output. Rejects if the process ends before.
   */
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

/** Polls until the result is neither `undefined` nor `false`. */
export async function until<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  patienceMs = 30_000,
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>
    if (performance.now() > deadline) throw new Error(`waited ${patienceMs} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const errorsPage = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')

/** The last line of an error's message, which names the code's heading in docs/errors.md. */
export const POINTER = /\nsee docs\/errors\.md#([a-z0-9_]+)$/

/**
 * Asserts a refusal as an operator wants it: one line with the fault, one line with the documentation's address, no
 * stack trace, and a status other than 0.
 */
export function expectRefusal(ended: Ended, says: RegExp, code = 1): void {
  const stderr = ended.stderr.trim()
  const [pointer = '', anchor = ''] = POINTER.exec(stderr) ?? []
  const message = stderr.slice(0, stderr.length - pointer.length)
  expect({ ...ended, stderr: message }).toEqual({
    code,
    signal: null,
    stdout: '',
    stderr: expect.stringMatching(says) as string,
  })
  // Errors of commander and of check have no code.
  if (message.startsWith('ekm-gateway: ')) expect(errorsPage).toContain(`\n#### \`${anchor.toUpperCase()}\`\n`)
  expect(message.split('\n')).toHaveLength(1)
  expect(ended.stderr).not.toMatch(/^\s+at |\.js:\d+|node:/m)
}
