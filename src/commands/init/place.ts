import { lstatSync, statSync, type Stats } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OperatorError, systemCode } from '../../../adapters/contract/index.ts'
import { makeDirectory } from '../../backends/init-files.ts'
import { openDirectories } from '../../settings/file-modes.ts'

/** More than a configuration takes, so that a full disk is found out. */
const TRIAL_BYTES = 64 * 1024
const DIRECTORY_MODE = 0o700

const refused = (what: string) =>
  new OperatorError(
    'FILE_UNWRITABLE',
    `${what}; --config takes the path of a file in a directory where this user can make files`,
  )

/** What is written before it takes the place of `file`. */
export const freshOf = (file: string): string => `${file}.new`
/** What `file` said before. */
export const previousOf = (file: string): string => `${file}.previous`

/**
 * Throws an OperatorError for a path that is no place for a configuration that could be read.
 *
 * @param given as it was typed
 * @param file the same, absolute
 */
export function assertFile(given: string, file: string): void {
  if (given === '' || /(?:^|\/)\.{0,2}$/.test(given)) throw refused(`${given || 'nothing'} names a directory`)
  const stats = found(file, statSync)
  if (stats === undefined) {
    if (found(file, lstatSync) !== undefined) throw refused(`${file} is a link that leads nowhere`)
    return
  }
  if (stats.isDirectory()) throw refused(`${file} is a directory; write the file's name too, such as ${sample(file)}`)
  if (!stats.isFile()) throw refused(`${file} is ${kindOf(stats)}`)
}

const sample = (directory: string) => join(directory, 'gateway.yaml')

const kindOf = (stats: Stats): string => (stats.isFIFO() ? 'a pipe' : stats.isSocket() ? 'a socket' : 'a device')

/** `undefined` where there is nothing. What cannot be looked at cannot be written either. */
function found(path: string, look: (path: string) => Stats): Stats | undefined {
  try {
    return look(path)
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ENOTDIR') return undefined
    throw refused(`${path} cannot be looked at (${code})`)
  }
}

/** Makes the directory of `file`, and tries to write there. Rejects with an OperatorError that says what stands against it. */
export async function assertWritable(file: string): Promise<void> {
  const directory = dirname(file)
  if (found(directory, statSync)?.isDirectory() === false) throw refused(`${directory} is no directory`)
  await makeDirectory(directory, DIRECTORY_MODE).catch((error: unknown) => {
    throw refused(`${directory} cannot be made (${systemCode(error)})`)
  })
  for (const path of [freshOf(file), previousOf(file)]) {
    if (found(path, lstatSync)?.isDirectory() === true) throw refused(`${path} is a directory, where init makes a file`)
  }
  const open = openDirectories(file).find(({ isVolume }) => !isVolume)
  if (open !== undefined) throw refused(`every user can replace ${file}, so no gateway takes it (run ${open.remedy})`)
  await tryToWrite(file)
}

async function tryToWrite(file: string): Promise<void> {
  const fresh = freshOf(file)
  try {
    await makeFile(fresh, Buffer.alloc(TRIAL_BYTES))
  } catch (error) {
    const code = systemCode(error)
    throw refused(`no file can be made in ${dirname(file)} (${code})${why[code] ?? ''}`)
  } finally {
    await rm(fresh, { force: true }).catch(() => undefined)
  }
}

const why: Readonly<Record<string, string>> = {
  EACCES: ': this user may not write there',
  EPERM: ': this user may not write there',
  EROFS: ': the file system is read-only',
  ENOSPC: ': the file system is full',
  EDQUOT: ": this user's part of the file system is full",
  EFBIG: ': a file may not become as large as a configuration',
}

/** Makes a file anew: what is there is taken away first, so that nothing is written into a pipe or through a link. */
export async function makeFile(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  await rm(path, { force: true })
  const handle = await open(path, 'wx', mode)
  try {
    await handle.writeFile(content)
  } finally {
    await handle.close()
  }
}
