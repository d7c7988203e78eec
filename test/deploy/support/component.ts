import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'

/** Throws if a program that a test needs is missing. The error has the command that installs it. */
export function component(path: string, debianPackage: string): string {
  if (existsSync(path)) return path
  throw new Error(`there is no ${path}: run apt-get install --no-install-recommends ${debianPackage}`)
}

export const promtool = (...args: readonly string[]) =>
  promisify(execFile)(component('/usr/bin/promtool', 'prometheus'), args).catch((error: unknown) => {
    // promtool prints its findings to its output.
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`promtool ${args[0] ?? ''} failed:\n${stdout}${stderr}`)
  })
