import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../contract/index.ts'

/**
 * Makes a directory, and those that lead to it. Rejects with the system's error.
 *
 * Node.js's own `recursive` never returns where a directory refuses its new members with ENOENT, as /proc does.
 *
 * @param path absolute
 */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  const missing: string[] = []
  for (let at = path; !(await isThere(at)); at = dirname(at)) missing.unshift(at)
  for (const directory of missing) {
    await mkdir(directory, { mode }).catch((error: unknown) => {
      // Another process may have made it meanwhile.
      if (systemCode(error) !== 'EEXIST') throw error
    })
  }
  if (!(await stat(path)).isDirectory()) throw Object.assign(new Error(`${path} is no directory`), { code: 'ENOTDIR' })
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) === 'ENOENT') return false
      throw error
    },
  )
