import { OperatorError } from '../../adapters/contract/index.ts'
import type { Exposure } from '../settings/file-modes.ts'
import { FileRecorder } from '../settings/files.ts'
import { loadConfig, type ConfigContents } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Variables } from '../settings/variables.ts'
import { FileWatch } from '../config/watch.ts'
import { describeBug, type Log } from '../telemetry/log.ts'

/** A configuration, and what it was made from. */
export interface LoadedConfig {
  readonly config: Config
  readonly contents: ConfigContents
  readonly recorder: FileRecorder
}

/** Throws what {@link loadConfig} throws. */
export function readConfig(file: string, variables: Variables, recorder = new FileRecorder()): LoadedConfig {
  const config = loadConfig(file, variables, recorder.read)
  return { config, contents: { files: recorder.contents, variables: variables.contents }, recorder }
}

export interface ReloaderOptions {
  readonly file: string
  readonly variables: Variables
  readonly log: Log
  /** Changes over to another configuration, or rejects with an OperatorError and leaves all as it was. */
  readonly apply: (config: Config, contents: ConfigContents) => Promise<readonly string[]>
}

export type ReloadCause = 'SIGHUP' | 'file'

/**
 * Reads the configuration again when it is told to, or when a file has changed, and has it applied: all or nothing. What
 * came of it is in the log. One at a time; what is asked for meanwhile is done after it.
 */
export class Reloader {
  readonly #options: ReloaderOptions
  readonly #watch: FileWatch
  #config: Config
  #wanted: ReloadCause | undefined
  #running: Promise<void> | undefined
  #exposures: readonly Exposure[] = []
  #closed = false

  constructor(options: ReloaderOptions, { config, recorder }: LoadedConfig) {
    this.#options = options
    this.#config = config
    this.#watch = new FileWatch(recorder, () => {
      if (this.#config.reload.watch) void this.reload('file')
    })
    this.#warnOf(recorder.exposures)
  }

  /** Resolves when it is done, whatever came of it. */
  reload(cause: ReloadCause): Promise<void> {
    this.#wanted = cause
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Starts nothing more. */
  close(): void {
    this.#closed = true
    this.#watch.close()
  }

  async #run(): Promise<void> {
    while (this.#wanted !== undefined && !this.#closed) {
      const cause = this.#wanted
      this.#wanted = undefined
      await this.#once(cause)
    }
  }

  async #once(cause: ReloadCause): Promise<void> {
    const { log, apply } = this.#options
    try {
      const { config, contents, recorder } = this.#read()
      const changed = await apply(config, contents)
      this.#config = config
      log.info('reloaded', { cause, changed: changed.join(', ') })
      this.#warnOf(recorder.exposures)
    } catch (error) {
      const problem =
        error instanceof OperatorError ? { reason: error.code, message: error.message } : describeBug(error)
      log.error('reload_failed', { cause, ...problem })
    }
  }

  /** Of what was not so before. */
  #warnOf(exposures: readonly Exposure[]): void {
    const known = this.#exposures.map(({ remedy }) => remedy)
    for (const { path, mode, who, may, remedy } of exposures) {
      if (known.includes(remedy)) continue
      this.#options.log.warn('file_exposed', { file: path, mode, who, may, message: `run ${remedy}` })
    }
    this.#exposures = exposures
  }

  #read(): LoadedConfig {
    const { file, variables } = this.#options
    const recorder = new FileRecorder()
    try {
      return readConfig(file, variables, recorder)
    } finally {
      // Also of a configuration that was wrong: what mends it is a change of its files. And before it is applied: while an
      // HSM takes its time to refuse a PIN, that PIN must not be found to be new once more.
      this.#watch.follow(recorder)
    }
  }
}
