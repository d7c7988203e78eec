import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyEnvironment } from '../../config/environment.ts'
import { variablesOf, type Environment } from '../../config/load.ts'
import { configSchema } from '../../config/schema.ts'
import { ConfigSource, type SettingPath } from '../../config/source.ts'

/** A file that the configuration names. */
export interface NamedFile {
  /** The setting, e.g. `listen.tls.key`. */
  readonly setting: string
  /** Absolute. */
  readonly path: string
  /** A secret must not be read by others; what is trusted must not be written by others. */
  readonly holds: 'secret' | 'trust'
}

/**
 * The settings as they are written, before anything is checked: it tells which files are meant, also where the
 * configuration as a whole cannot be used.
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

  /** `undefined` for a file that is not YAML. */
  static read(file: string, environment: Environment): WrittenSettings | undefined {
    const source = ConfigSource.read(file, (path) => readFileSync(path))
    if (!(source instanceof ConfigSource)) return undefined
    const { directory } = source
    const variables = variablesOf(environment)
    const { data } = applyEnvironment(source.data, configSchema({ directory, variables }), variables.overrides)
    return new WrittenSettings(file, directory, data)
  }

  /** What stands at `path`, if anything does. */
  at(...path: SettingPath): unknown {
    let value = this.#data
    for (const step of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
      value = (value as Record<string | number, unknown>)[step]
    }
    return value
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

  /** Names of a mapping's members, or positions of a list's. */
  within(...path: SettingPath): (string | number)[] {
    const value = this.at(...path)
    if (Array.isArray(value)) return [...value.keys()]
    return typeof value === 'object' && value !== null ? Object.keys(value) : []
  }

  /** Every file that the configuration names, the configuration file first. */
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
    for (const backend of this.within('backends')) {
      const at = ['backends', backend] as const
      add('trust', ...at, 'module')
      for (const name of ['passphrase', 'pin']) add('secret', ...at, name, 'file')
      for (const name of ['ca', 'certificate']) add('trust', ...at, 'tls', name)
      add('secret', ...at, 'tls', 'key')
      add('secret', ...at, 'credentials', 'password', 'file')
      const pinSource = pinSourceOf(this.text(...at, 'token'))
      if (pinSource !== undefined) {
        found.push({ setting: `backends.${backend}.token`, path: pinSource, holds: 'secret' })
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

/** The PIN's file in a `pkcs11:` URI (RFC 7512 §2.4). */
function pinSourceOf(token: string | undefined): string | undefined {
  const [, text] = /[?&]pin-source=([^&]+)/.exec(token ?? '') ?? []
  try {
    const source = text === undefined ? undefined : decodeURIComponent(text)
    return source?.startsWith('file:') ? fileURLToPath(source) : source
  } catch {
    return undefined
  }
}
