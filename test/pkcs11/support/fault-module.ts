import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MODULE, type SoftHsm } from './softhsm.ts'

const source = fileURLToPath(new URL('fault-module.c', import.meta.url))

export interface FaultModule {
  readonly path: string
  /** Sets the faults in every process from now on: lines of `FUNCTION ACTION ARGUMENT`; see fault-module.c. */
  script(...lines: string[]): void
  /** C_Login calls of all processes since the last count. */
  logins(): number
  /** Calls since the last count of a function that the script logs. */
  logged(name: string): number
  /** The strings passed to C_Initialize since the last count, if the script logs it. */
  parameters(): string[]
}

/** Compiles a fault-injecting module for this run. Modules with different names follow separate scripts. */
export function faultModule(hsm: Pick<SoftHsm, 'directory'>, name = 'faults', target = MODULE): FaultModule {
  const pathOf = (extension: string) => join(hsm.directory, `${name}.${extension}`)
  const [path, scriptPath, logPath] = [pathOf('so'), pathOf('script'), pathOf('log')]
  const constants = { FAULT_TARGET: target, FAULT_SCRIPT: scriptPath, FAULT_LOG: logPath }
  const defines = Object.entries(constants).map(([constant, value]) => `-D${constant}=${JSON.stringify(value)}`)
  try {
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', ...defines, '-o', path, source], { stdio: 'pipe' })
  } catch (error) {
    throw new Error('the fault-injecting module cannot be compiled: run apt-get install -y gcc libc6-dev', {
      cause: error,
    })
  }
  let scripts = 0
  const script = (...lines: string[]) => {
    scripts++
    // A number that is new each time makes a repeated "once" line a different line.
    const numbered = lines.map((line) => (line.endsWith(' once') ? `${line} #${scripts}` : line))
    writeFileSync(scriptPath, numbered.map((line) => `${line}\n`).join(''))
  }
  script()
  writeFileSync(logPath, '')
  let counted = 0
  const take = () => {
    // Emptying the file would lose lines that are written meanwhile.
    const bytes = readFileSync(logPath)
    const lines = bytes.toString('utf8', counted).split('\n')
    counted = bytes.length
    return lines
  }
  const logged = (name: string) => take().filter((line) => line === name).length
  const parameters = () => take().flatMap((line) => /^C_Initialize=(.*)$/.exec(line)?.[1] ?? [])
  return { path, script, logged, parameters, logins: () => logged('C_Login') }
}
