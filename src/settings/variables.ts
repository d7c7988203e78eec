import { Secret } from '../../adapters/contract/index.ts'

export const ENVIRONMENT_PREFIX = 'EKM_GATEWAY__'

/** The variables that another process needs to make the same configuration. */
export interface VariableContents {
  readonly overrides: Readonly<Record<string, string>>
  /** By the variable's name. */
  readonly secrets: ReadonlyMap<string, Uint8Array>
}

type ProcessEnvironment = Record<string, string | undefined>

/**
 * The environment that configurations are read from. Overrides, and the secrets that a configuration names, are removed
 * from the process's own environment, so that no process that is started later inherits them. They stay removed even if
 * a reload no longer names them, and are kept here because a later reload may.
 */
export class Variables {
  readonly overrides: Readonly<Record<string, string>>
  readonly #own: ProcessEnvironment
  readonly #secrets = new Map<string, Secret>()

  /** @param own the process's environment, `process.env` */
  constructor(own: ProcessEnvironment) {
    this.#own = own
    const overrides: Record<string, string> = {}
    for (const [name, value] of Object.entries(own)) {
      if (value === undefined || !name.toUpperCase().startsWith(ENVIRONMENT_PREFIX)) continue
      overrides[name] = value
      delete own[name]
    }
    this.overrides = overrides
  }

  /**
   * The variables that another process removed from its environment. A process that was started before still has them
   * in `own`.
   */
  static from({ overrides, secrets }: VariableContents, own: ProcessEnvironment): Variables {
    for (const name of secrets.keys()) delete own[name]
    const variables = new Variables({ ...overrides })
    for (const [name, bytes] of secrets) variables.#secrets.set(name, new Secret(bytes))
    return variables
  }

  get contents(): VariableContents {
    const secrets = new Map([...this.#secrets].map(([name, secret]) => [name, secret.reveal()]))
    return { overrides: this.overrides, secrets }
  }

  /** Removes variables that hold secrets from the process's environment. */
  hide(names: Iterable<string>): void {
    for (const name of names) {
      const value = this.#own[name]
      if (value === undefined) continue
      this.#secrets.set(name, new Secret(Buffer.from(value)))
      delete this.#own[name]
    }
  }

  /** A copy of a hidden variable's value, which the caller zeroes. */
  reveal(name: string): Uint8Array | undefined {
    return this.#secrets.get(name)?.reveal()
  }
}

/** The names in every `{ env: NAME }`, even if the enclosing setting is wrong or ignored. */
export function secretVariables(data: unknown): ReadonlySet<string> {
  const names = new Set<string>()
  const seen = new Set<unknown>()
  const visit = (value: unknown) => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    for (const [key, member] of Object.entries(value)) {
      if (key === 'env' && typeof member === 'string') names.add(member)
      else visit(member)
    }
  }
  visit(data)
  return names
}
