import { isKeyName, OperatorError, type KeyRef, type KeySummary } from '../../../adapters/contract/index.ts'
import { administerBackend, type BackendConfig } from '../../backends/index.ts'
import { count } from '../../base/words.ts'
import type { BackendQuestion } from './backend-question.ts'
import type { Findings } from './findings.ts'
import type { WantedKey } from './key-question.ts'
import { TooSlow, within } from './time-limit.ts'

/**
 * Milliseconds; longer than a backend's own limit, because an abandoned call would leave its library's processes
 * running.
 */
const LIST_MS = 50_000

/** With `keys: all`, only this many keys are checked. */
const MOST_KEYS = 20

/** Undefined if the keys cannot be listed, or not in time. */
export async function listKeys(settings: BackendConfig): Promise<readonly KeySummary[] | undefined> {
  try {
    const administration = await administerBackend(settings)
    return administration && (await within(LIST_MS, administration.list()))
  } catch (error) {
    if (error instanceof OperatorError || error instanceof TooSlow) return undefined
    throw error
  }
}

export function wantedKeys(
  { name, pools }: BackendQuestion,
  all: readonly KeySummary[] | undefined,
  findings: Findings,
): WantedKey[] {
  return pools.flatMap((pool) => {
    if (pool.keys !== 'all') {
      return Object.entries(pool.keys).map(([key, entry]) => ({
        subject: `${pool.name}/${key}`,
        name: key,
        ref: (entry?.ref ?? key) as KeyRef,
      }))
    }
    const names = [...new Set((all ?? []).map((summary) => summary.name))].filter(isKeyName)
    if (names.length === 0) {
      findings.notChecked('key.found', all ? `the backend ${name} has no key yet` : 'its keys cannot be listed', {
        subject: pool.name,
      })
    } else if (names.length > MOST_KEYS) {
      const found = `the pool has all ${count(names.length, 'key')} of ${name}; only the first ${MOST_KEYS} are checked`
      findings.notChecked('key.found', found, { subject: pool.name })
    }
    return names.slice(0, MOST_KEYS).map((key) => ({ subject: `${pool.name}/${key}`, name: key, ref: key as KeyRef }))
  })
}

export function skipKeys({ name, pools }: BackendQuestion, findings: Findings): void {
  const keys = pools.flatMap(({ name: pool, keys: listed }) =>
    listed === 'all' ? [`${pool}/*`] : Object.keys(listed).map((key) => `${pool}/${key}`),
  )
  for (const key of keys) {
    findings.notChecked('key.found', `the backend ${name} cannot be used; see backend.open`, { subject: key })
  }
}
