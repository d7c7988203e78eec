import { AdapterError, type KeyDescription, type WrapAlgorithm } from '../../../adapters/contract/index.ts'
import type { Findings } from './findings.ts'
import { checkEnd, checkNames, tellUnusable } from './key-names.ts'
import type { KeyQuestion, UsableKey, WantedKey } from './key-question.ts'
import { checkWays, comesBack } from './key-use.ts'
import { callWithin } from './time-limit.ts'

const DESCRIBE_MS = 5000

/** Checks one key: whether it exists, how it is used, and whether a wrapped value unwraps unchanged. */
export async function checkKey(
  key: WantedKey,
  question: KeyQuestion,
  findings: Findings,
): Promise<UsableKey | undefined> {
  const { adapter, exposed, row } = question
  const { exposedKey } = row.check
  const { subject, ref } = key
  let description: KeyDescription
  try {
    description = await callWithin(DESCRIBE_MS, (context) => adapter.describe(ref, context))
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error
    tellUnusable(key, error, question, findings)
    return undefined
  }
  const words =
    description.kty === 'oct' ? `an AES key of ${description.bits} bits` : `an RSA key of ${description.bits} bits`
  findings.ok('key.found', words, { subject, fields: { kty: description.kty, bits: description.bits } })
  checkNames(key, question, findings)
  checkEnd(key, question, findings)
  if (exposedKey !== undefined && exposed.has(ref)) {
    findings.warning('key.exposed', exposedKey.found, { subject, advice: exposedKey.advice })
  }
  const algorithms = await checkWays(key, description, question, findings)
  const working: WrapAlgorithm[] = []
  for (const algorithm of algorithms) {
    if (await comesBack(key, algorithm, adapter, findings)) working.push(algorithm)
  }
  return { ...key, algorithms: working }
}
