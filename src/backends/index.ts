import * as v from 'valibot'
import type { KeyAdapter, KeyAdministration, Report } from '../../adapters/contract/index.ts'
import { didYouMean } from '../base/nearest.ts'
import type { References } from '../settings/fields.ts'
import type { Choice, Question, SecretQuestion } from './interview.ts'
import { kmip } from './kmip.ts'
import { pkcs11 } from './pkcs11.ts'
import type { BackendRow, NamedSetting, Rows } from './row.ts'
import { software } from './software.ts'

/** Every kind of backend. A new kind adds one row here; no other file names a kind. */
const rows = { software, pkcs11, kmip }

export type BackendConfig = v.InferOutput<ReturnType<(typeof rows)[keyof typeof rows]['schema']>>
export type BackendKind = BackendConfig['kind']

/** Compiles only if each kind has its row, under its own name. */
const byKind: Rows<BackendConfig> = rows

const isKind = (kind: unknown): kind is BackendKind => typeof kind === 'string' && Object.hasOwn(byKind, kind)

/** The schema of one backend's settings. */
export function backendSchema(references: References) {
  const options = Object.values(rows).map(({ schema }) => schema(references))
  const kinds = Object.keys(rows)
  const rule = `must be a mapping whose kind is one of: ${kinds.join(', ')}`
  return v.variant('kind', options, ({ input }) => rule + (typeof input === 'string' ? didYouMean(input, kinds) : ''))
}

/** The row of the kind that `settings` belong to. */
export const rowOf = ({ kind }: BackendConfig): BackendRow<BackendConfig> => byKind[kind]

/** The kinds, for an operator to choose from. */
export const kindChoices = (): readonly Choice[] =>
  Object.entries(byKind).map(([value, { init }]) => ({ value, label: init.title }))

/** What `init` asks and knows of a kind. */
export const initOf = (kind: string): BackendRow<BackendConfig>['init'] | undefined =>
  isKind(kind) ? (byKind[kind] as BackendRow<BackendConfig>).init : undefined

/** What `init` may ask, by kind. */
export const initQuestions = (): readonly (readonly [kind: string, QuestionsOfRow])[] =>
  Object.entries(byKind).map(([kind, { init }]) => [kind, Object.values(init.questions)])

type QuestionsOfRow = readonly (Question | SecretQuestion)[]

/** Settings that name files, for the kind written as `kind`; for every kind if there is no such kind. */
export const fileSettings = (kind: unknown): readonly NamedSetting[] =>
  isKind(kind) ? byKind[kind].files : Object.values(byKind).flatMap(({ files }) => files)

/** Whether a backend of any kind does not open because it refuses the login, by the OperatorError's code. */
export const isLoginRefused = (code: string): boolean =>
  Object.values(byKind).some(({ incidents }) => incidents.loginRefused?.error === code)

/** @throws OperatorError when the operator must act */
export async function openBackend(settings: BackendConfig, report: Report): Promise<KeyAdapter> {
  const module = await rowOf(settings).load()
  return module.open(settings, report)
}

/** Undefined if the backend's keys can be managed only with its own tools. */
export async function administerBackend(settings: BackendConfig): Promise<KeyAdministration | undefined> {
  const module = await rowOf(settings).load()
  return module.administer?.(settings)
}
