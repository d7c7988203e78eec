import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A temporary directory for one test. */
export interface Workspace {
  readonly directory: string
  readonly path: (name: string) => string
  readonly write: (name: string, content: string | Uint8Array, mode?: number) => Promise<string>
  /** Removes a file, if it is there. */
  readonly discard: (name: string) => Promise<void>
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
    discard: (name) => rm(path(name), { force: true }),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
