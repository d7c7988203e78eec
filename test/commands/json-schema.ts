import type { JsonSchema } from '../../src/commands/explain/json-schema.ts'

type Members = Readonly<Record<string, unknown>>

const typeOf = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

const known: readonly (keyof JsonSchema)[] = [
  ...(['$schema', 'title', 'description', 'default', 'examples', 'type', 'const', 'enum', 'anyOf', 'oneOf'] as const),
  ...(['properties', 'required', 'additionalProperties', 'propertyNames', 'items', 'minItems'] as const),
  ...(['minimum', 'maximum', 'minLength', 'maxLength', 'pattern'] as const),
]
const keywords = new Set<string>(known)

/** The paths at which `value` violates the schema. Throws at an unknown keyword, so that none is ignored. */
export function validate(schema: JsonSchema, value: unknown, path: readonly string[] = []): string[] {
  const unknown = Object.keys(schema).find((keyword) => !keywords.has(keyword))
  if (unknown !== undefined) throw new Error(`${unknown} is no part of this validator`)
  const wrong = [path.join('.')]
  if (schema.type !== undefined && typeOf(value) !== schema.type) return wrong
  if ('const' in schema && value !== schema.const) return wrong
  if (schema.enum?.every((choice) => choice !== value) === true) return wrong
  const fits = (alternative: JsonSchema) => validate(alternative, value, path).length === 0
  if (schema.anyOf !== undefined && !schema.anyOf.some(fits)) return wrong
  if (schema.oneOf !== undefined && schema.oneOf.filter(fits).length !== 1) return wrong
  if (typeof value === 'number' && !within(value, schema.minimum, schema.maximum)) return wrong
  if (typeof value === 'string') {
    if (!within(value.length, schema.minLength, schema.maxLength)) return wrong
    if (schema.pattern !== undefined && !new RegExp(schema.pattern, 'u').test(value)) return wrong
  }
  if (Array.isArray(value)) {
    if (!within(value.length, schema.minItems)) return wrong
    return value.flatMap((item, index) => validate(schema.items ?? {}, item, [...path, String(index)]))
  }
  return typeOf(value) === 'object' ? validateMembers(schema, value as Members, path) : []
}

const within = (size: number, least = -Infinity, most = Infinity) => least <= size && size <= most

function validateMembers(schema: JsonSchema, members: Members, path: readonly string[]): string[] {
  const { properties = {}, required = [], additionalProperties: others = true, propertyNames = {} } = schema
  const missing = required.filter((name) => !(name in members)).map((name) => [...path, name].join('.'))
  const wrong = Object.entries(members).flatMap(([name, member]) => {
    const at = [...path, name]
    const rule = properties[name] ?? (others === true ? {} : others)
    if (rule === false) return [at.join('.')]
    return [...validate(propertyNames, name, at), ...validate(rule, member, at)]
  })
  return [...missing, ...wrong]
}
