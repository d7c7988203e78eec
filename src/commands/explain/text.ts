import { stringify } from 'yaml'
import { ENVIRONMENT_PREFIX } from '../../settings/variables.ts'
import type { Found } from './find.ts'
import type { JsonSchema } from './json-schema.ts'
import { alternativesOf, LIST_ENTRY, pathOf, type Setting, type Step, type Variant } from './settings.ts'

/** One line for each setting: its path and the first sentence about it. */
export function overview(settings: readonly Setting[]): string {
  const width = Math.max(...settings.map((setting) => pathOf(setting).length))
  return settings.map((setting) => `${pathOf(setting).padEnd(width)}  ${firstSentence(setting)}`).join('\n')
}

/** All that the schema says of a setting, for a person at a terminal. */
export function explanation(found: Found, settings: readonly Setting[]): string {
  const { setting } = found
  const title = pathOf(setting)
  return setting.variants.map((variant) => [title, ...linesOf(found, variant, settings)].join('\n')).join('\n\n')
}

function linesOf(found: Found, variant: Variant, settings: readonly Setting[]): readonly string[] {
  const { schema, isRequired, kinds } = variant
  const { setting, names } = found
  const example = exampleOf(schema)
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['kind', kinds.length === 0 ? undefined : kinds.join(', ')],
    ['type', typeText(schema)],
    ['required', isRequired ? 'yes' : 'no'],
    ['default', isEmptyMapping(schema.default) ? undefined : valueText(schema.default)],
    ['example', example === undefined ? undefined : yamlAt(setting.path, names, example)],
    ['variable', variableFor(setting, schema, names, example)],
    ['settings', partsOf(setting, settings)],
    ['page', `docs/configuration.md#${anchorOf(setting, kinds)}`],
  ]
  const shown = rows.flatMap(([label, text]) => (text === undefined ? [] : [rowText(label, text)]))
  return [...(schema.description === undefined ? [] : [schema.description]), '', ...shown]
}

const LABEL_WIDTH = 10

const rowText = (label: string, text: string): string =>
  text
    .split('\n')
    .map((line, index) => `  ${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${line}`)
    .join('\n')

/** What may be written: `whole number from 1 to 60000`. */
function typeText(schema: JsonSchema): string {
  const alternatives = alternativesOf(schema).filter(({ type }) => type !== 'null')
  if (alternatives.length > 0) return [...new Set(alternatives.map(typeText))].join(', or ')
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`
  if (schema.items !== undefined) return `list, each entry: ${typeText(schema.items)}`
  if (schema.type === 'boolean') return 'true or false'
  if (schema.type === 'integer') return `whole number${boundsText(schema)}`
  if (schema.type === 'string') {
    return `text${schema.maxLength === undefined ? '' : `, at most ${schema.maxLength} characters`}`
  }
  return typeof schema.additionalProperties === 'object' ? 'mapping from names' : 'mapping'
}

const boundsText = ({ minimum, maximum }: JsonSchema): string =>
  minimum === undefined || maximum === undefined ? '' : ` from ${minimum} to ${maximum}`

/** The example that the schema has, or else the default, or a choice. */
export function exampleOf(schema: JsonSchema): unknown {
  const [given] = schema.examples ?? []
  if (given !== undefined) return given
  if (schema.default !== undefined) return isEmptyMapping(schema.default) ? undefined : schema.default
  const [choice] = schema.enum ?? []
  return schema.const ?? choice
}

const isEmptyMapping = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0

function valueText(value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (value === '') return 'empty'
  return Array.isArray(value) && value.length === 0 ? 'an empty list' : stringify(value).trim()
}

/** The example at its place in the file. */
function yamlAt(path: readonly Step[], names: readonly string[], example: unknown): string {
  const value = path.reduceRight<unknown>(
    (below, { name, isEntry }, index) => (isEntry && name === LIST_ENTRY ? [below] : { [names[index] ?? name]: below }),
    example,
  )
  return stringify(value).trim()
}

/** The variable that overrides the setting. A variable sets a single value only. */
function variableFor(
  { path }: Setting,
  schema: JsonSchema,
  names: readonly string[],
  example: unknown,
): string | undefined {
  if (!isSingleValue(schema)) return undefined
  const steps = path.map(({ name, isEntry }, index) => {
    const given = names[index] ?? name
    if (isEntry && name === LIST_ENTRY) return /^\d+$/.test(given) ? given : '0'
    return given.toUpperCase().replaceAll('-', '_')
  })
  return `${ENVIRONMENT_PREFIX}${steps.join('__')}=${singleValue(schema, example) ?? '…'}`
}

/** An example that a variable can hold: of `all` and a mapping, only `all`. */
function singleValue(schema: JsonSchema, example: unknown): string | undefined {
  if (typeof example === 'string' || typeof example === 'number' || typeof example === 'boolean') return String(example)
  const [value] = alternativesOf(schema).flatMap((one) => singleValue(one, exampleOf(one)) ?? [])
  return value
}

const isSingleValue = (schema: JsonSchema): boolean =>
  schema.const !== undefined ||
  schema.enum !== undefined ||
  ['string', 'integer', 'number', 'boolean'].includes(schema.type ?? '') ||
  alternativesOf(schema).some(isSingleValue)

/** The settings directly below. */
function partsOf({ path }: Setting, settings: readonly Setting[]): string | undefined {
  const parts = settings.filter(({ path: other }) => {
    const below = other.slice(path.length)
    const isBelow = path.every(({ name }, index) => other[index]?.name === name)
    return isBelow && below.filter(({ isEntry }) => !isEntry).length === 1 && below.at(-1)?.isEntry === false
  })
  return parts.length === 0 ? undefined : overview(parts)
}

function firstSentence({ variants }: Setting): string {
  const [sentence = ''] = variants.map(({ schema }) => /^.*?\.(?= |$)/.exec(schema.description ?? '')?.[0] ?? '')
  return sentence
}

/** The heading of docs/configuration.md below which the setting is. */
function anchorOf({ path }: Setting, kinds: readonly string[]): string {
  const section = path[0]?.name ?? ''
  return kinds.length === 1 ? `${section}-kind-${kinds.join('')}` : section
}
