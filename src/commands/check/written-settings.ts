import { resolve } from 'node:path'
import { fileSettings } from '../../backends/index.ts'
import { applyEnvironment } from '../../config/environment.ts'
import { variablesOf, type Environment } from '../../config/load.ts'
import { configSchema } from '../../config/schema.ts'
import { at, type SettingPath } from '../../config/problem.ts'
import { ConfigText } from '../../config/text.ts'
import type { Holds } from '../../settings/file-modes.ts'
import { readBounded } from '../../settings/files.ts'

/** A file that the configuration names. */
export interface NamedFile {
  /** The setting, e.g. `listen.tls.key`. */
  readonly setting: string
  /** Absolute. */
  readonly path: string
  /** Others must not read a secret, and must not write what is trusted. */
  readonly holds: Holds
}

/**
 * The settings as they are written, before validation. They show which files are named even if the configuration as a
 * whole is invalid.
 */
export class WrittenSettings {
  readonly file: string
  readonly #directory: string
  readonly #data: unknown

  private constructor(file: string, directory: string, data: unknown) {
    this.file = file
    this.#directory = directory
    this.#data = data
  }

  /** Undefined for a file that is not YAML. */
  static read(file: string, environment: Environment): WrittenSettings | undefined {
    const text = ConfigText.read(file, (path) => readBounded(path).bytes)
    if (!(text instanceof ConfigText)) return undefined
    const { directory } = text
    const variables = variablesOf(environment)
    const { data } = applyEnvironment(text.data, configSchema({ directory, variables }), variables.overrides)
    return new WrittenSettings(file, directory, data)
  }

  /** The value at `path`. Undefined if there is none. */
  at(...path: SettingPath): unknown {
    return at(this.#data, path)
  }

  text(...path: SettingPath): string | undefined {
    const value = this.at(...path)
    return typeof value === 'string' && value !== '' ? value : undefined
  }

  /** The absolute path of the file that the setting names. */
  path(...path: SettingPath): string | undefined {
    const value = this.text(...path)
    return value === undefined ? undefined : resolve(this.#directory, value)
  }

  /** The names of a mapping's members, or the positions of a list's. */
  within(...path: SettingPath): (string | number)[] {
    const value = this.at(...path)
    if (Array.isArray(value)) return [...value.keys()]
    return typeof value === 'object' && value !== null ? Object.keys(value) : []
  }

  /** Every file that the configuration names. The configuration file comes first. */
  files(): NamedFile[] {
    const found: NamedFile[] = [{ setting: 'the configuration', path: resolve(this.file), holds: 'trust' }]
    const add = (holds: NamedFile['holds'], ...path: SettingPath) => {
      const file = this.path(...path)
      if (file !== undefined) found.push({ setting: path.join('.'), path: file, holds })
    }
    add('trust', 'listen', 'tls', 'certificate')
    for (const name of ['key', 'pkcs12']) add('secret', 'listen', 'tls', name)
    add('secret', 'listen', 'tls', 'passphrase', 'file')
    add('secret', 'listen', 'ticketKeys', 'file')
    add('secret', 'admin', 'token', 'file')
    for (const backend of this.within('backends')) {
      for (const { setting, holds, find } of fileSettings(this.at('backends', backend, 'kind'))) {
        const at = ['backends', backend, ...setting] as const
        if (find === undefined) add(holds, ...at)
        else {
          const path = find(this.text(...at) ?? '')
          if (path !== undefined) found.push({ setting: at.join('.'), path, holds })
        }
      }
    }
    for (const pool of this.within('pools')) {
      for (const client of this.within('pools', pool, 'clients')) {
        const at = ['pools', pool, 'clients', client] as const
        add('trust', ...at, 'azureCertificate')
        for (const index of this.within(...at, 'caCertificates')) add('trust', ...at, 'caCertificates', index)
        for (const index of this.within(...at, 'revocation', 'lists')) add('trust', ...at, 'revocation', 'lists', index)
      }
    }
    return found
  }
}
