import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/**
 * A Python virtual environment at `directory` that has `requirement`, such as `azure-cli==2.91.0`. It is made, and the
 * package is taken from PyPI, if it is not there as a whole.
 *
 * @returns where its commands are, Python among them
 */
export function pythonWith(requirement: string, directory: string): string {
  const programs = join(directory, 'bin')
  const python = join(programs, 'python3')
  if (has(python, requirement)) return programs
  const install = ['-m', 'pip', 'install', '--quiet', requirement]
  try {
    execFileSync('python3', ['-m', 'venv', directory])
    execFileSync(python, install)
  } catch (error) {
    const commands = `python3 -m venv ${directory} && ${python} ${install.join(' ')}`
    throw new Error(`${requirement} could not be installed: ${commands}`, { cause: error })
  }
  return programs
}

function has(python: string, requirement: string): boolean {
  const [name = requirement, wanted] = requirement.split('==')
  const ask = ['-c', 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))', name]
  try {
    const version = execFileSync(python, ask, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    return wanted === undefined || version === wanted
  } catch {
    return false
  }
}
