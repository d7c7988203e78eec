import { FileRecorder, sameStamps, type FileStamps } from '../settings/files.ts'

const POLL_MS = 2000

/**
 * Calls `onChange` when a file that a recorder read has changed, disappeared or appeared, and then stayed the same for
 * one poll: an operator who replaces a certificate and its key writes two files. It polls, because polling works on
 * every file system and through every kind of link.
 */
export class FileWatch {
  readonly #onChange: () => void
  readonly #pollMs: number
  #watched: FileRecorder
  #last: FileStamps | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(watched: FileRecorder, onChange: () => void, pollMs = POLL_MS) {
    this.#watched = watched
    this.#onChange = onChange
    this.#pollMs = pollMs
    this.#pollLater()
  }

  /** Watches the files of `watched` from now on. */
  follow(watched: FileRecorder): void {
    this.#watched = watched
    this.#last = undefined
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #pollLater(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#poll().finally(() => this.#pollLater()), this.#pollMs)
    this.#timer.unref()
  }

  async #poll(): Promise<void> {
    const watched = this.#watched
    const now = await watched.look()
    // The files may have been read again meanwhile, or the watch has ended.
    if (watched !== this.#watched || this.#closed) return
    const last = this.#last
    this.#last = now
    if (watched.found(now) || last === undefined || !sameStamps(last, now)) return
    this.#onChange()
  }
}
