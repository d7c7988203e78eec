import type * as v from 'valibot'
import { nearest } from '../base/nearest.ts'
import type { Problem, SettingPath } from './problem.ts'
import { ENVIRONMENT_PREFIX } from '../settings/variables.ts'

/** A setting from the environment. Its errors are reported with the variable's name. */
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
 * underscores separate the steps of the path. Case does not matter, and `_` stands for `-` in a name.
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
    else problems.push({ where: variable, path: '', message: NO_SETTING + meantVariable(copy, schema, steps) })
  }
  return { data: copy, overrides, problems }
}

const NO_SETTING =
  'names no setting with a single value: separate the steps of its path by two underscores, ' +
  'count list entries from 0, and end a secret with __ENV or __FILE'

const normalise = (name: string) => name.toLowerCase().replaceAll('-', '_')

const isContainer = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/**
 * Follows `steps` through schema and data together.
 * @returns the path in the data's own spelling; undefined if there is none
 */
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
  // The file may lack a whole section. The section is created only for a variable that sets something in it.
  const section = data[child.name] ?? {}
  const path = set(section, child.schema, rest, value)
  if (path === undefined) return undefined
  data[child.name] = section
  return [child.name, ...path]
}

/** `; did you mean EKM_GATEWAY__LISTEN__PORT?` where one step of the path is mistyped; else empty. */
function meantVariable(data: unknown, schema: v.GenericSchema, steps: readonly string[]): string {
  let here: unknown = data
  let rules = schema
  for (const [index, step] of steps.entries()) {
    if (!isContainer(here)) return ''
    const child = childOf(here, rules, normalise(step))
    if (child === undefined) {
      const meant = nearest(normalise(step), namesOf(here, rules).map(normalise))
      if (meant === undefined) return ''
      const path = [...steps.slice(0, index), meant, ...steps.slice(index + 1)].join('__')
      return `; did you mean ${ENVIRONMENT_PREFIX}${path.toUpperCase()}?`
    }
    here = here[child.name] ?? {}
    rules = child.schema
  }
  return ''
}

/** The names that the next step may have. */
const namesOf = (data: Record<string, unknown>, schema: v.GenericSchema): readonly string[] =>
  alternatives(schema).flatMap((candidate) => {
    if ('entries' in candidate && isContainer(candidate.entries)) return Object.keys(candidate.entries)
    return candidate.type === 'record' ? Object.keys(data) : []
  })

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

/** The schemas that a value may follow, without their wrappers. */
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

/**
 * Converts `value` to the type that the schema expects. A wrong value stays text, and the setting's own message refuses
 * it.
 */
function scalarFor(schema: v.GenericSchema, value: string): string | number | boolean | undefined {
  const types = alternatives(schema).map(({ type }) => type)
  const takesText = types.some((type) => type === 'string' || type === 'picklist' || type === 'literal')
  if (types.includes('boolean')) return value === 'true' || (value === 'false' ? false : value)
  if (!types.includes('number')) return takesText ? value : undefined
  const number = Number(value)
  // A slot id may be too large for a number, and then stays text.
  const isNumber = value.trim() !== '' && !Number.isNaN(number) && !(takesText && !Number.isSafeInteger(number))
  return isNumber ? number : value
}
