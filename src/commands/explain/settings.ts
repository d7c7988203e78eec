import type { JsonSchema } from './json-schema.ts'

/** One step of a path: a setting's own name, or whatever stands for an entry: `[]` in a list, `NAME` in a mapping. */
export interface Step {
  readonly name: string
  readonly isEntry: boolean
}

export interface Setting {
  readonly path: readonly Step[]
  /** Several, if backends of different kinds have the setting and it differs. */
  readonly variants: readonly Variant[]
}

export interface Variant {
  readonly schema: JsonSchema
  readonly isRequired: boolean
  /** The kinds of backend that have it. Empty outside of a backend. */
  readonly kinds: readonly string[]
}

/** A setting's path as the documentation writes it: `pools[].keys.ID.ref`. */
export const pathOf = ({ path }: Setting): string =>
  path.map(({ name }, index) => (index === 0 || name === LIST_ENTRY ? name : `.${name}`)).join('')

/** Every setting with a name of its own, in the schema's order. */
export function settingsOf(schema: JsonSchema): readonly Setting[] {
  const byPath = new Map<string, Setting>()
  for (const { path, variant } of membersOf(schema, [], [])) {
    const key = JSON.stringify(path)
    byPath.set(key, { path, variants: withVariant(byPath.get(key)?.variants ?? [], variant) })
  }
  return [...byPath.values()]
}

export const LIST_ENTRY = '[]'

interface Member {
  readonly path: readonly Step[]
  readonly variant: Variant
}

function membersOf(schema: JsonSchema, path: readonly Step[], kinds: readonly string[]): readonly Member[] {
  const { properties = {}, required = [], additionalProperties, propertyNames, items } = schema
  const own = Object.entries(properties).flatMap(([name, member]) => {
    const at = [...path, { name, isEntry: false }]
    return [
      { path: at, variant: { schema: member, isRequired: required.includes(name), kinds } },
      ...membersOf(member, at, kinds),
    ]
  })
  const named =
    typeof additionalProperties === 'object'
      ? membersOf(additionalProperties, [...path, { name: propertyNames?.title ?? 'NAME', isEntry: true }], kinds)
      : []
  const listed = items === undefined ? [] : membersOf(items, [...path, { name: LIST_ENTRY, isEntry: true }], kinds)
  const either = alternativesOf(schema).flatMap((one) => membersOf(one, path, kindsOf(one) ?? kinds))
  return [...own, ...named, ...listed, ...either]
}

export const alternativesOf = ({ anyOf, oneOf }: JsonSchema): readonly JsonSchema[] => anyOf ?? oneOf ?? []

function kindsOf({ properties }: JsonSchema): readonly string[] | undefined {
  const kind = properties?.['kind']?.const
  return typeof kind === 'string' ? [kind] : undefined
}

function withVariant(variants: readonly Variant[], added: Variant): readonly Variant[] {
  const said = ({ schema, isRequired }: Variant) => JSON.stringify([schema, isRequired])
  const same = variants.find((variant) => said(variant) === said(added))
  if (same === undefined) return [...variants, added]
  const both = { ...same, kinds: [...new Set([...same.kinds, ...added.kinds])] }
  return variants.map((variant) => (variant === same ? both : variant))
}
