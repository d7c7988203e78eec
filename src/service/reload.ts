import { OperatorError } from '../../adapters/contract/index.ts'
import { nextTurn } from '../base/turns.ts'
import type { Exposure } from '../settings/file-modes.ts'
import { FileRecorder } from '../settings/files.ts'
import { readSource } from '../config/load.ts'
import { makeConfig, type ConfigContents, type ConfigSource } from '../config/make.ts'
import type { Config } from '../config/schema.ts'
import type { Variables } from '../settings/variables.ts'
import { FileWatch } from '../config/watch.ts'
import { describeBug } from '../telemetry/bug.ts'
import type { Log } from '../telemetry/log.ts'
import type { ServiceEvents } from '../telemetry/service-metrics.ts'

/** A configuration, and what it was made from. */
export interface LoadedConfig {
  readonly config: Config
  readonly contents: ConfigContents
  readonly recorder: FileRecorder
}

/** @throws ConfigInvalid with every problem at once */
export function readConfig(file: string, variables: Variables, recorder = new FileRecorder()): LoadedConfig {
  return load(readSource(file, recorder.read), variables, recorder)
}

function load(source: ConfigSource, variables: Variables, recorder: FileRecorder): LoadedConfig {
  const config = makeConfig({ source, environment: variables, read: recorder.read })
  const contents = { data: source.data, files: recorder.contents, variables: variables.contents }
  return { config, contents, recorder }
}

export interface ReloaderOptions {
  readonly file: string
  readonly variables: Variables
  readonly log: Log
  readonly events: Pick<ServiceEvents, 'reloaded'>
  /** Switches to another configuration. If it rejects with an OperatorError, nothing has changed. */
  readonly apply: (config: Config, contents: ConfigContents, cause: ReloadCause) => Promise<readonly string[]>
}

export type ReloadCause = 'SIGHUP' | 'file'

/**
 * Whether a reload is a reason to try again what was given up. A file that changes every hour, such as a revocation list,
 * is none.
 */
export const isAboutBackends = (cause: ReloadCause, changed: readonly string[]): boolean =>
  cause === 'SIGHUP' || changed.some((name) => name.startsWith('backends.'))

/**
 * Reloads the configuration on request, or when a file has changed, and applies it completely or not at all. The log
 * has the result. One reload at a time; a request during a reload causes another one after it.
 */
export class Reloader {
  readonly #options: ReloaderOptions
  readonly #watch: FileWatch
  #config: Config
  #wanted: ReloadCause | undefined
  #running: Promise<boolean> | undefined
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

  /** @returns whether the configuration that was read last is in use */
  reload(cause: ReloadCause): Promise<boolean> {
    this.#wanted = cause
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  /** Starts no further reload. */
  close(): void {
    this.#closed = true
    this.#watch.close()
  }

  async #run(): Promise<boolean> {
    let taken = false
    while (this.#wanted !== undefined && !this.#closed) {
      const cause = this.#wanted
      this.#wanted = undefined
      taken = await this.#once(cause)
    }
    return taken
  }

  async #once(cause: ReloadCause): Promise<boolean> {
    const { log, apply, events } = this.#options
    try {
      const { config, contents, recorder } = await this.#read()
      await nextTurn()
      const changed = await apply(config, contents, cause)
      this.#config = config
      events.reloaded('succeeded')
      log.info('reloaded', { cause, changed: changed.join(', ') })
      this.#warnOf(recorder.exposures)
      return true
    } catch (error) {
      const problem =
        error instanceof OperatorError ? { reason: error.code, message: error.message } : describeBug(error)
      if (error instanceof OperatorError) events.reloaded('failed', error.message, error.code)
      else events.reloaded('failed', 'internal_error: the log has more')
      log.error('reload_failed', { cause, ...problem })
      return false
    }
  }

  /** Logs exposures that are new. */
  #warnOf(exposures: readonly Exposure[]): void {
    const known = this.#exposures.map(({ remedy }) => remedy)
    for (const { path, mode, who, may, remedy } of exposures) {
      if (known.includes(remedy)) continue
      this.#options.log.warn('file_exposed', { file: path, mode, who, may, message: `run ${remedy}` })
    }
    this.#exposures = exposures
  }

  /** Each part takes milliseconds, so requests are served in between. */
  async #read(): Promise<LoadedConfig> {
    const { file, variables } = this.#options
    const recorder = new FileRecorder()
    try {
      const source = readSource(file, recorder.read)
      await nextTurn()
      return load(source, variables, recorder)
    } finally {
      // Also after an invalid configuration, because a change of its files corrects it. And before it is applied: an
      // HSM may take long to refuse a PIN, and that PIN must not be read as a new one meanwhile.
      this.#watch.follow(recorder)
    }
  }
}
