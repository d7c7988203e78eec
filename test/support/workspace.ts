import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory of one test's own. */
export interface Workspace {
  readonly directory: string
  readonly path: (name: string) => string
  readonly write: (name: string, content: string | Uint8Array, mode?: number) => Promise<string>
  readonly remove: () => Promise<void>
}

export async function makeWorkspace(): Promise<Workspace> {
  const directory = await mkdtemp(join(tmpdir(), 'ekm-gateway-test-'))
  const path = (name: string) => join(directory, name)
  return {
    directory,
    path,
    write: async (name, content, mode = 0o600) => {
      await writeFile(path(name), content, { mode })
      return path(name)
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
