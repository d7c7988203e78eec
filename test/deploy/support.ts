import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'

const [first, second] = inject('releases')
export const releases = { first, second } as const

/** The one artefact of a release whose name has this end. The release is the first one by default. */
export function artefact(ending: string, release = first): string {
  const found = readdirSync(release).filter((name) => name.endsWith(ending))
  const [name] = found
  if (name === undefined || found.length > 1) throw new Error(`${found.length} artefacts end with ${ending}`)
  return join(release, name)
}

/** The output of a command. Throws with its standard error if it fails. */
export const output = (
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
) => execFileSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, ...options })
