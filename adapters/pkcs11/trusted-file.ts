import type { FileHandle } from 'node:fs/promises'
import { OperatorError } from '../contract/index.ts'

const OTHERS_WRITE = 0o002

/**
 * @throws OperatorError for an open file that every user can change. On Windows modes mean nothing and are not checked
 */
export async function assertTrusted(path: string, file: FileHandle): Promise<void> {
  const { mode } = await file.stat()
  if (process.platform === 'win32' || (mode & OTHERS_WRITE) === 0) return
  throw new OperatorError('FILE_UNTRUSTED', `${path} is a file that every user can change: run chmod o-w ${path}`)
}
