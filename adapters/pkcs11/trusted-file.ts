import type { FileHandle } from 'node:fs/promises'
import { OperatorError } from '../contract/index.ts'

const OTHERS_WRITE = 0o002

/** Rejects with an {@link OperatorError} for an open file that every user can change. Modes mean nothing on Windows. */
export async function assertTrusted(path: string, file: FileHandle): Promise<void> {
  const { mode } = await file.stat()
  if (process.platform === 'win32' || (mode & OTHERS_WRITE) === 0) return
  throw new OperatorError('FILE_UNTRUSTED', `${path} is a file that every user can change: run chmod o-w ${path}`)
}
