import { resolve } from 'node:path'
import { Document, isAlias, isCollection, isMap, isNode, isScalar } from 'yaml'
import { samePrefix } from '../../config/cross-check.ts'
import { at, formatPath, type SettingPath } from '../../config/problem.ts'
import { poolIndex, type EarlierFile } from './earlier.ts'

/** What `init` writes, as an operator would. */
export interface Wanted {
  readonly listen: Readonly<Record<string, unknown>>
  readonly admin: Readonly<Record<string, unknown>> | undefined
  readonly backend: { readonly name: string; readonly section: Readonly<Record<string, unknown>> }
  readonly pool: { readonly name: string } & Readonly<Record<string, unknown>>
  /** Behind settings, by dotted path. */
  readonly comments: Readonly<Record<string, string>>
}

const HEADER = ` Made by ekm-gateway init, which proposes changes to it when it is run again. docs/configuration.md has every setting.
 Paths are relative to this file. No secret stands in it: only the file that holds one.`

/** A whole configuration, commented. */
export function freshText({ listen, admin, backend, pool, comments }: Wanted): string {
  const document = new Document({
    listen,
    ...(admin && { admin }),
    backends: { [backend.name]: backend.section },
    pools: [pool],
  })
  document.commentBefore = HEADER
  for (const [path, comment] of Object.entries(comments)) addComment(document, path.split('.'), comment)
  for (const section of ['admin', 'backends', 'pools']) {
    const pair = isMap(document.contents)
      ? document.contents.items.find(({ key }) => isScalar(key) && key.value === section)
      : undefined
    if (isScalar(pair?.key)) pair.key.spaceBefore = true
  }
  return document.toString({ lineWidth: 0 })
}

function addComment(document: Document, path: readonly string[], comment: string): void {
  const parent: unknown = document.getIn(path.slice(0, -1), true)
  const value: unknown = document.getIn(path, true)
  if (isScalar(value)) value.comment = ` ${comment}`
  else if (isMap(parent) && isNode(value)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1))
    const key = pair?.key
    if (isScalar(key)) key.commentBefore = ` ${comment}`
  }
}

export interface Change {
  readonly path: SettingPath
  readonly value: unknown
}

/** What would become different in the earlier file. What only that has is left as it is. */
export function changesTo({ data }: EarlierFile, wanted: Wanted, directory: string): Change[] {
  const { listen, admin, backend, pool } = wanted
  const found = poolIndex(data, pool.name)
  const pools = at(data, ['pools'])
  const index = found === -1 ? (Array.isArray(pools) ? pools.length : 0) : found
  return [
    ...differences(data, ['listen'], listen, directory),
    ...(admin === undefined ? [] : differences(data, ['admin'], admin, directory)),
    ...differences(data, ['backends', backend.name], backend.section, directory),
    ...differences(data, ['pools', index], { ...pool, keys: keptKeys(data, index, pool['keys']) }, directory),
  ]
}

/** A key that stays keeps what else the operator has written for it, such as a standby. */
function keptKeys(data: unknown, index: number, wanted: unknown): unknown {
  const earlier = at(data, ['pools', index, 'keys'])
  return Object.fromEntries(
    Object.entries(wanted as Record<string, { ref?: string }>).map(([name, { ref }]) => {
      const before = at(earlier, [name])
      const isSame = before !== undefined && at(before, ['ref']) === ref
      return [name, isSame ? before : ref === undefined ? {} : { ref }]
    }),
  )
}

/** They make sense as a whole only; what stands beside the wanted members stays, if those are right. */
const wholes: readonly unknown[] = ['token', 'pin', 'passphrase', 'credentials', 'keys']
/** Of these lists one entry is asked for, the first. */
const lists: readonly unknown[] = ['servers', 'clients']

/** A mapping has one of these: a certificate takes the place of a PKCS#12 file, and an az file that of names and roots. */
const identities = ['certificate', 'pkcs12', 'azureCertificate', 'subjectCommonNames']
/** They go with what they belong to. */
const ofAnIdentity = [...identities, 'key', 'passphrase', 'caCertificates']

function differences(data: unknown, path: SettingPath, wanted: unknown, directory: string): Change[] {
  const before = at(data, path)
  const name = path.at(-1)
  if (isSame(before, wanted, directory) || (name === 'pathPrefix' && samePrefix(before, wanted))) return []
  if (Array.isArray(before) && Array.isArray(wanted) && before.length > 0 && lists.includes(name)) {
    return differences(data, [...path, 0], wanted[0], directory)
  }
  if (!isMapping(before) || !isMapping(wanted)) return [{ path, value: wanted }]
  const members = Object.entries(wanted)
  if (wholes.includes(name)) {
    const isThere = name !== 'keys' && members.every(([member, value]) => isSame(before[member], value, directory))
    return isThere ? [] : [{ path, value: wanted }]
  }
  if (identities.some((member) => Object.hasOwn(wanted, member) && !Object.hasOwn(before, member))) {
    const others = Object.entries(before).filter(([member]) => !ofAnIdentity.includes(member))
    return [{ path, value: { ...Object.fromEntries(others), ...wanted } }]
  }
  return members.flatMap(([member, value]) => differences(data, [...path, member], value, directory))
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Two spellings of one path are the same. */
function isSame(one: unknown, other: unknown, directory: string): boolean {
  if (typeof one === 'string' && typeof other === 'string') return resolve(directory, one) === resolve(directory, other)
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return one === other
  const [keys, others] = [Object.keys(one), Object.keys(other)]
  return keys.length === others.length && keys.every((key) => isSame(at(one, [key]), at(other, [key]), directory))
}

/** The earlier file with the changes in it; its comments and all else stay. */
export function changedText({ document }: EarlierFile, changes: readonly Change[]): string {
  const copy = document.clone()
  for (const { path, value } of changes) {
    for (const length of path.keys()) resolveAlias(copy, path.slice(0, length))
    const node: unknown = copy.getIn(path, true)
    // So that the comment behind it stays.
    if (isScalar(node) && !isMapping(value)) node.value = value
    else copy.setIn(path, copy.createNode(value))
  }
  return copy.toString({ lineWidth: 0 })
}

/** Puts a copy of what an alias stands for in its place, so that a change in it is no change elsewhere. */
function resolveAlias(document: Document, path: SettingPath): void {
  const node: unknown = document.getIn(path, true)
  if (!isAlias(node)) return
  const copy = node.resolve(document)?.clone()
  if (isCollection(copy)) delete copy.anchor
  document.setIn(path, copy)
}

/** The old value is not shown: a secret may stand there by mistake. */
export const inWords = ({ path, value }: Change): string => `${formatPath(path)}: ${JSON.stringify(value)}`
