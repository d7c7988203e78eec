import { makeWorkspace } from '../support/workspace.ts'

const VARIABLE = 'EKM_TEST_KEYS'

/** The directory of the RSA keys that the processes of a run share; undefined outside such a run. */
export const sharedKeys = (): string | undefined => process.env[VARIABLE]

/** Vitest calls this once before the first file, and the returned function after the last. */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (sharedKeys() !== undefined) return undefined
  const { directory, remove } = await makeWorkspace()
  process.env[VARIABLE] = directory
  return remove
}
