import type * as v from 'valibot'
import type { Problem, SettingPath } from './source.ts'
import { ENVIRONMENT_PREFIX } from '../settings/variables.ts'

/** A setting that came from the environment, so that what is wrong with it is told with the variable's name. */
export interface Override {
  readonly variable: string
  readonly path: SettingPath
}

export interface Overridden {
  readonly data: unknown
  readonly overrides: readonly Override[]
  readonly problems: readonly Problem[]
}

/**
 * Sets each scalar that a variable names: `EKM_GATEWAY__LISTEN__PORT=443`, `EKM_GATEWAY__POOLS__0__PATHPREFIX=a/b`. Two
 * underscores part the steps of the path; case does not matter, and `_` stands for `-` in a name.
 */
export function applyEnvironment(
  data: unknown,
  schema: v.GenericSchema,
  environment: Readonly<Record<string, string | undefined>>,
): Overridden {
  const copy: unknown = structuredClone(data)
  const overrides: Override[] = []
  const problems: Problem[] = []
  for (const variable of Object.keys(environment).sort()) {
    const value = environment[variable]
    if (!variable.toUpperCase().startsWith(ENVIRONMENT_PREFIX) || value === undefined) continue
    const steps = variable.slice(ENVIRONMENT_PREFIX.length).split('__')
    const path = set(copy, schema, steps, value)
    if (path !== undefined) overrides.push({ variable, path })
    else problems.push({ source: variable, path: '', message: NO_SETTING })
  }
  return { data: copy, overrides, problems }
}

const NO_SETTING =
  'names no setting that has a single value; the steps of a path stand between two underscores, ' +
  'a list item has its number from 0, and a secret ends in __ENV or __FILE'

const normalise = (name: string) => name.toLowerCase().replaceAll('-', '_')

const isContainer = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Follows `steps` through schema and data together; the path in the data's own spelling, `undefined` if there is none. */
function set(
  data: unknown,
  schema: v.GenericSchema,
  [step, ...rest]: readonly string[],
  value: string,
): SettingPath | undefined {
  if (step === undefined || !isContainer(data)) return undefined
  const child = childOf(data, schema, normalise(step))
  if (child === undefined) return undefined
  if (rest.length === 0) {
    const scalar = scalarFor(child.schema, value)
    if (scalar === undefined) return undefined
    data[child.name] = scalar
    return [child.name]
  }
  // A whole section may be absent from the file; it is made only for a variable that really sets something in it.
  const section = data[child.name] ?? {}
  const path = set(section, child.schema, rest, value)
  if (path === undefined) return undefined
  data[child.name] = section
  return [child.name, ...path]
}

interface Child {
  readonly name: string | number
  readonly schema: v.GenericSchema
}

function childOf(data: Record<string, unknown>, schema: v.GenericSchema, step: string): Child | undefined {
  for (const candidate of alternatives(schema)) {
    if ('entries' in candidate && isContainer(candidate.entries)) {
      const entries = candidate.entries as Record<string, v.GenericSchema>
      const name = Object.keys(entries).find((key) => normalise(key) === step)
      const entry = name === undefined ? undefined : entries[name]
      if (name !== undefined && entry !== undefined) return { name, schema: entry }
    } else if (candidate.type === 'record' && 'value' in candidate) {
      const name = Object.keys(data).find((key) => normalise(key) === step)
      if (name !== undefined) return { name, schema: candidate.value as v.GenericSchema }
    } else if (candidate.type === 'array' && 'item' in candidate && Array.isArray(data)) {
      if (/^\d+$/.test(step) && Number(step) < data.length) {
        return { name: Number(step), schema: candidate.item as v.GenericSchema }
      }
    }
  }
  return undefined
}

/** The schemas that a value may follow, with what only wraps them taken off. */
function alternatives(schema: v.GenericSchema): readonly v.GenericSchema[] {
  if ('pipe' in schema && Array.isArray(schema.pipe)) {
    const [inner] = schema.pipe as v.GenericSchema[]
    return inner === undefined || inner === schema || !('pipe' in inner || 'wrapped' in inner || 'options' in inner)
      ? [schema]
      : alternatives(inner)
  }
  if ('wrapped' in schema) return alternatives(schema.wrapped as v.GenericSchema)
  if ((schema.type === 'union' || schema.type === 'variant') && 'options' in schema) {
    return (schema.options as v.GenericSchema[]).flatMap(alternatives)
  }
  return [schema]
}

/** `value` as what the schema takes; what is wrong stays text, and is refused with the setting's own message. */
function scalarFor(schema: v.GenericSchema, value: string): string | number | boolean | undefined {
  const types = alternatives(schema).map(({ type }) => type)
  const takesText = types.some((type) => type === 'string' || type === 'picklist' || type === 'literal')
  if (types.includes('boolean')) return value === 'true' || (value === 'false' ? false : value)
  if (!types.includes('number')) return takesText ? value : undefined
  const number = Number(value)
  // A slot id may be beyond what a number can hold, and is then taken as text.
  const isNumber = value.trim() !== '' && !Number.isNaN(number) && !(takesText && !Number.isSafeInteger(number))
  return isNumber ? number : value
}
