import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const commander = dirname(fileURLToPath(import.meta.resolve('commander')))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The packed package, installed in an empty folder. */
export class Installed {
  readonly directory: string
  /** Paths of the files in the package. */
  readonly files: readonly string[]

  private constructor(directory: string, files: readonly string[]) {
    this.directory = directory
    this.files = files
  }

  static async make(): Promise<Installed> {
    const directory = await mkdtemp(join(tmpdir(), 'ekm-conformance-'))
    const { stdout } = await execute('npm', ['pack', '--json', '--pack-destination', directory], { cwd: root })
    const [packed] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
    // The one dependency is copied from this repository's installation, so that npm asks no registry.
    const packages = [join(directory, packed.filename), commander]
    await execute('npm', ['install', '--offline', '--install-links', '--no-audit', '--no-fund', ...packages], {
      cwd: directory,
    })
    return new Installed(
      directory,
      packed.files.map(({ path }) => path),
    )
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  async write(name: string, content: string): Promise<string> {
    await writeFile(this.path(name), content, { mode: 0o600 })
    return this.path(name)
  }

  /** Runs `ekm-conformance` to its end. */
  run(args: readonly string[]): Promise<Ended> {
    const child = spawn(this.path('node_modules/.bin/ekm-conformance'), args, {
      cwd: this.directory,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const written = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => (written[name] += text))
    }
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code, ...written }))
    })
  }

  remove(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true })
  }
}
