import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The adapters' sources as JavaScript in a temporary directory, for child processes: Node.js 20 runs no TypeScript, and
 * an earlier `dist` could be older than the sources under test.
 */
export class CompiledAdapters {
  readonly #root = mkdtempSync(join(tmpdir(), 'ekm-gateway-compiled-'))

  constructor() {
    for (const folder of ['adapters/contract', 'adapters/key-wrap', 'adapters/software']) {
      for (const file of readdirSync(join(repository, folder))) this.#compile(join(folder, file))
    }
    writeFileSync(join(this.#root, 'package.json'), '{"type":"module"}')
    symlinkSync(join(repository, 'node_modules'), join(this.#root, 'node_modules'))
  }

  #compile(file: string): void {
    const { outputText } = ts.transpileModule(readFileSync(join(repository, file), 'utf8'), {
      fileName: file,
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    })
    const target = join(this.#root, file.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, outputText)
  }

  /** Runs `code`, an ES module in which `load('software/store')` imports one of the adapters' modules. */
  run(
    code: string,
    options: { readonly nodeOptions?: readonly string[]; readonly args?: readonly string[] } = {},
  ): Child {
    const base = JSON.stringify(pathToFileURL(join(this.#root, 'adapters/')).href)
    const module = `const load = (name) => import(${base} + name + '.js')\n${code}`
    const flags = [...(options.nodeOptions ?? []), '--input-type=module', '--eval', module]
    return new Child(
      spawn(process.execPath, [...flags, ...(options.args ?? [])], { stdio: ['ignore', 'pipe', 'pipe'] }),
    )
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true })
  }
}

export class Child {
  readonly #process: ChildProcess
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  #output = ''
  #errors = ''

  constructor(process: ChildProcess) {
    this.#process = process
    process.stdout?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()))
    process.stderr?.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
    this.exited = new Promise((resolve) => {
      process.once('close', (code, signal) => {
        resolve({ code, signal })
      })
    })
  }

  /** Resolves once the child has printed `word`. Rejects with the child's output if it ends before. */
  async saying(word: string): Promise<void> {
    let ended = false
    void this.exited.then(() => (ended = true))
    while (!this.#output.includes(word)) {
      if (ended) throw new Error(`the child ended without saying ${word}: ${this.#errors}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  get errors(): string {
    return this.#errors
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }
}
