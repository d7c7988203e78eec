import * as v from 'valibot'
import { OperatorError } from '../../../adapters/contract/index.ts'
import type { Finding } from '../check/findings.ts'

/** Every problem in one sentence; `undefined` where there is none. */
export function problemsOf(findings: readonly Finding[]): string | undefined {
  const problems = findings.filter(({ status }) => status === 'problem')
  if (problems.length === 0) return undefined
  return problems.map(({ found, advice }) => (advice === undefined ? found : `${found}: ${advice}`)).join('; ')
}

/** Each warning as a sentence. */
export const notesOf = (findings: readonly Finding[]): string[] =>
  findings
    .filter(({ status }) => status === 'warning')
    .map(({ found, advice }) => (advice === undefined ? found : `${found}; ${advice}`))

/** The output of `schema` for what an operator would write. Throws an OperatorError with all that is wrong with it. */
export function parsed<Schema extends v.GenericSchema>(schema: Schema, data: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, data, { abortPipeEarly: true })
  if (result.success) return result.output
  const wrong = result.issues.map((issue) => `${v.getDotPath(issue) ?? ''} ${issue.message}`.trim())
  throw new OperatorError('ANSWER_REFUSED', wrong.join('; '))
}
