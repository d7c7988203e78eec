import { readTrusted, type ReadFile } from '../settings/files.ts'
import { ConfigInvalid, makeBackends, makeConfig, type ConfigSource, type Environment } from './make.ts'
import type { Config } from './schema.ts'
import { ConfigText } from './text.ts'

export { ConfigInvalid, variablesOf, type ConfigContents, type Environment } from './make.ts'

/** @throws ConfigInvalid if the file cannot be read or is no YAML */
export function readSource(file: string, read: ReadFile): ConfigSource {
  const text = ConfigText.read(file, read)
  if (text instanceof ConfigText) return text
  throw new ConfigInvalid(text)
}

/**
 * Loads the whole configuration, frozen.
 * @throws ConfigInvalid with every problem at once
 */
export const loadConfig = (file: string, environment: Environment, read: ReadFile = readTrusted): Config =>
  makeConfig({ source: readSource(file, read), environment, read })

/** Loads only the backends, for commands that manage keys before the rest of the configuration is complete. */
export const loadBackends = (file: string, environment: Environment): Config['backends'] =>
  makeBackends({ source: readSource(file, readTrusted), environment, read: readTrusted })
