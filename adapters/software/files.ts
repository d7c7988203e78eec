import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { link, open, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { OperatorError, systemCode } from '../contract/index.ts'

const PRIVATE_FILE = 0o600
/** Permissions that refuse a file: any for group and others. A group of this process may still have read permission. */
const OTHERS = 0o077
const GROUP_READS = 0o040
const MAX_FILE_BYTES = 64 * 1024

/** In Kubernetes root owns the Secrets that a pod mounts, and the pod's group can read them. */
const isOwnGroup = (gid: number): boolean =>
  gid === process.getegid?.() || (process.getgroups?.().includes(gid) ?? false)

/**
 * Reads a file that only its owner, or a group of this process, may read.
 * @throws OperatorError for other permissions, and for anything but a small regular file
 */
export async function readPrivateFile(path: string): Promise<string> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new OperatorError('FILE_KIND', `${path} is not a regular file`)
    if ((stats.mode & OTHERS & ~(isOwnGroup(stats.gid) ? GROUP_READS : 0)) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
      throw new OperatorError('FILE_MODE', `${path} is accessible to other users (mode ${mode}): run chmod 600 ${path}`)
    }
    if (stats.size > MAX_FILE_BYTES) throw new OperatorError('FILE_KIND', `${path} is too large to be a key file`)
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** An error that tells an operator what to do, in place of a bare system error. */
export const unreadable = (path: string, error: unknown): OperatorError =>
  new OperatorError('FILE_UNREADABLE', `${path} cannot be read (${systemCode(error)})`)

export const unwritable = (path: string, error: unknown): OperatorError =>
  new OperatorError('FILE_UNWRITABLE', `${path} cannot be written (${systemCode(error)})`)

/**
 * Writes a whole file or nothing: it writes a temporary file, syncs it, and moves it into place in one step. A crash at
 * any moment leaves the old file or the new one. `create` never replaces a file, and rejects with `EEXIST` if there is
 * one.
 */
export async function writePrivateFile(path: string, text: string, mode: 'create' | 'replace'): Promise<void> {
  await writeWhole(path, text, mode).catch((error: unknown) => {
    if (mode === 'create' && systemCode(error) === 'EEXIST') throw error
    throw unwritable(path, error)
  })
}

async function writeWhole(path: string, text: string, mode: 'create' | 'replace'): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`)
  const handle = await open(temporary, 'wx', PRIVATE_FILE)
  try {
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    // Unlike a rename, a hard link refuses to replace a file.
    if (mode === 'create') await link(temporary, path)
    else await rename(temporary, path)
  } finally {
    if (mode === 'create') await unlink(temporary)
    else await unlink(temporary).catch(() => undefined)
  }
  await syncDirectory(dirname(path))
}
