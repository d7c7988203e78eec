import type { FileHandle } from 'node:fs/promises'
import { isForeign, OperatorError, ownCommand } from '../contract/index.ts'

const OTHERS_WRITE = 0o002

/**
 * Rejects with an {@link OperatorError} for an open file that every user, or an owner with no say here, can change. Modes mean
 * nothing on Windows.
 */
export async function assertTrusted(path: string, file: FileHandle): Promise<void> {
  const { mode, uid } = await file.stat()
  if (isForeign(uid)) {
    throw new OperatorError('FILE_UNTRUSTED', `${path} is a file that user ${uid} can change: run ${ownCommand(path)}`)
  }
  if (process.platform === 'win32' || (mode & OTHERS_WRITE) === 0) return
  throw new OperatorError('FILE_UNTRUSTED', `${path} is a file that every user can change: run chmod o-w ${path}`)
}
