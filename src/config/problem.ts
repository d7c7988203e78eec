/** One error in a configuration, and its place. */
export interface Problem {
  /** The file's path as the operator gave it, or the name of an environment variable. */
  readonly where: string
  /** Undefined for an environment variable, and for an error of the whole file. */
  readonly line?: number | undefined
  /** Dotted path of the setting, e.g. `pools[0].backend`. Empty for the whole file. */
  readonly path: string
  /** What is wrong and what is allowed. It never contains the value, which may be a secret in the wrong place. */
  readonly message: string
}

export type SettingPath = readonly (string | number)[]

export const formatPath = (path: SettingPath): string =>
  path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('')

/** What stands at `path`; undefined if nothing does. */
export function at(data: unknown, path: SettingPath): unknown {
  let found = data
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined
    found = (found as Record<string | number, unknown>)[step]
  }
  return found
}
