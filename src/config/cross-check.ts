import type { SettingPath } from './source.ts'

interface Finding {
  readonly path: SettingPath
  readonly message: string
}

type Mapping = Readonly<Record<string, unknown>>

const isMapping = (value: unknown): value is Mapping => typeof value === 'object' && value !== null
const mapping = (value: unknown): Mapping => (isMapping(value) ? value : {})
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/**
 * What is wrong between settings that are each right by themselves. It looks at the data as it was read, so that these
 * are reported together with whatever else is wrong.
 */
export function crossCheck(data: unknown): Finding[] {
  const { backends, pools, listen } = mapping(data)
  const names = Object.keys(mapping(backends))
  const clientsNeeded = mapping(listen)['clientAuth'] !== 'disabled'
  return [...list(pools)].flatMap((entry, index) => {
    const pool = mapping(entry)
    const earlier = list(pools).slice(0, index).map(mapping)
    const findings: Finding[] = []
    const find = (setting: string, message: string) => findings.push({ path: ['pools', index, setting], message })

    if (typeof pool['backend'] === 'string' && !names.includes(pool['backend'])) {
      find('backend', `names no backend; there ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ') || 'none'}`)
    }
    if (earlier.some(({ name }) => name === pool['name']) && pool['name'] !== undefined) {
      find('name', 'is the name of another pool too')
    }
    const twin = earlier.find(({ pathPrefix }) => samePrefix(pathPrefix, pool['pathPrefix']))
    if (twin !== undefined) find('pathPrefix', `is the path prefix of the pool ${String(twin['name'])} too`)
    if (clientsNeeded && isMapping(entry) && list(pool['clients']).length === 0 && !isMapping(pool['clients'])) {
      find('clients', 'must name at least one client: nobody could use the pool')
    }
    return findings
  })
}

/** Without slashes around it, as the schema normalises it. */
export const trimSlashes = (prefix: string): string => prefix.replace(/^\/|\/$/g, '')

function samePrefix(one: unknown, other: unknown): boolean {
  const [a, b] = [one ?? '', other ?? '']
  return typeof a === 'string' && typeof b === 'string' && trimSlashes(a) === trimSlashes(b)
}
