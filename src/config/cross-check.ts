import { didYouMean } from '../base/nearest.ts'
import type { SettingPath } from './problem.ts'

interface Finding {
  readonly path: SettingPath
  readonly message: string
}

type Mapping = Readonly<Record<string, unknown>>

const isMapping = (value: unknown): value is Mapping =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const mapping = (value: unknown): Mapping => (isMapping(value) ? value : {})
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/**
 * Errors between settings that are each valid. It reads the raw data, so that these errors are reported together with
 * all others.
 */
export function crossCheck(data: unknown): Finding[] {
  const { backends, pools, listen } = mapping(data)
  const names = Object.keys(mapping(backends))
  const noBackend = `names no backend; there ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ') || 'none'}`
  const clientsNeeded = mapping(listen)['clientAuth'] !== 'disabled'
  const ofPools = list(pools).flatMap((pool, index) => {
    if (!isMapping(pool)) return []
    const earlier = list(pools).slice(0, index)
    const findings: Finding[] = []
    const find = (setting: string, message: string) => findings.push({ path: ['pools', index, setting], message })

    if (typeof pool['backend'] === 'string' && !names.includes(pool['backend'])) {
      find('backend', noBackend + didYouMean(pool['backend'], names))
    }
    if (pool['name'] !== undefined && earlier.some((other) => mapping(other)['name'] === pool['name'])) {
      find('name', 'is also the name of another pool')
    }
    const twin = earlier.findIndex((other) => isMapping(other) && samePrefix(other['pathPrefix'], pool['pathPrefix']))
    if (twin !== -1) {
      find(
        'pathPrefix',
        `is also the path prefix of pools[${twin}]; a slash in front or at the end makes no difference`,
      )
    }
    const { clients = [] } = pool
    if (clientsNeeded && Array.isArray(clients) && clients.length === 0) {
      find('clients', 'must name at least one client, or nobody could use the pool')
    }
    for (const [key, entry] of Object.entries(mapping(pool['keys']))) {
      const standby = mapping(mapping(entry)['standby'])['backend']
      if (typeof standby !== 'string') continue
      const path = ['pools', index, 'keys', key, 'standby', 'backend']
      if (!names.includes(standby)) findings.push({ path, message: noBackend + didYouMean(standby, names) })
      else if (standby === pool['backend']) findings.push({ path, message: "is the pool's own backend" })
    }
    return [...findings, ...impossibleNames(pool['keys'], ['pools', index, 'keys'])]
  })
  return [...impossibleNames(backends, ['backends']), ...ofPools]
}

/** The schema library silently ignores these names, because JavaScript gives them a meaning. */
const impossibleNames = (named: unknown, path: SettingPath): Finding[] =>
  ['constructor', 'prototype', '__proto__']
    .filter((name) => Object.hasOwn(mapping(named), name))
    .map((name) => ({ path: [...path, name], message: 'is a reserved name' }))

/** Without a slash at the start and at the end, as the schema normalises it. */
export const trimSlashes = (prefix: string): string => prefix.replace(/^\/|\/$/g, '')

export function samePrefix(one: unknown, other: unknown): boolean {
  const [a, b] = [one ?? '', other ?? '']
  return typeof a === 'string' && typeof b === 'string' && trimSlashes(a) === trimSlashes(b)
}
