import { OperatorError, type Facts, type KeyAdapter } from '../../../adapters/contract/index.ts'
import { openBackend, rowOf } from '../../backends/index.ts'
import { checkCertificates } from './backend-certificates.ts'
import { asAdapterError, checkSessions, factsOf, inWords, PROBE_MS, tellServers } from './backend-facts.ts'
import { commandFor, type BackendQuestion } from './backend-question.ts'
import type { Findings } from './findings.ts'
import type { UsableKey } from './key-question.ts'
import { checkKey } from './keys.ts'
import { checkLatency } from './latency.ts'
import { callWithin, TooSlow, within } from './time-limit.ts'
import { listKeys, skipKeys, wantedKeys } from './wanted-keys.ts'

/** Milliseconds; longer than the adapter itself waits for an HSM's library to start. */
const OPEN_MS = 20_000
const CLOSE_MS = 5000

/** Checks one backend, from the first connection to the last key. */
export async function checkBackend(question: BackendQuestion, findings: Findings, opener = openBackend): Promise<void> {
  const { exposedKey } = rowOf(question.settings).check
  checkKind(question, findings)
  checkCertificates(question, findings)
  const exposed = new Set<string>()
  const adapter = await open(question, findings, opener, (event, fields) => {
    // The adapter reports this only as an event, not in an answer to a call.
    if (event === exposedKey?.event) exposed.add(String(fields['key']))
  })
  if (adapter === undefined) {
    skipKeys(question, findings)
    return
  }
  try {
    if (!(await answers(adapter, question, findings))) {
      skipKeys(question, findings)
      return
    }
    await checkSessions(adapter, question, findings)
    await checkKeys(adapter, exposed, question, findings)
  } finally {
    await within(CLOSE_MS, adapter.close()).catch(() => undefined)
  }
}

/** Reports a setting that is valid but should not be used in production. */
function checkKind({ name, settings }: BackendQuestion, findings: Findings): void {
  const remark = rowOf(settings).check.custody(settings)
  if (remark === undefined) findings.ok('backend.kind', 'the keys stay in the backend', { subject: name })
  else findings.warning('backend.kind', remark.found, { subject: name, advice: remark.advice })
}

async function open(
  question: BackendQuestion,
  findings: Findings,
  opener: typeof openBackend,
  report: (event: string, fields: Facts) => void,
): Promise<KeyAdapter | undefined> {
  const { name, settings } = question
  try {
    const opening = opener(settings, (_level, event, fields) => report(event, fields))
    return await within(OPEN_MS, opening, (late) => void late.close())
  } catch (error) {
    if (!(error instanceof OperatorError || error instanceof TooSlow)) throw error
    const known = error instanceof OperatorError
    const code = known ? error.code : 'TIMEOUT'
    findings.problem('backend.open', error.message, {
      subject: name,
      fields: { code },
      advice: known
        ? (rowOf(settings).check.openAdvice[code] ?? 'do what the message says, then check again')
        : LOOK_AT_IT,
      ...commandFor(question, code),
    })
    return undefined
  }
}

const LOOK_AT_IT = 'see whether the backend and the network to it are up'

/**
 * Whether it answers at all. A KMIP adapter opens without its servers, so that a gateway can start while they are
 * unreachable.
 */
async function answers(adapter: KeyAdapter, question: BackendQuestion, findings: Findings): Promise<boolean> {
  const { name, settings } = question
  const facts = await factsOf(adapter)
  const reachable = await callWithin(PROBE_MS, (context) => adapter.probe(context)).then(
    () => undefined,
    asAdapterError,
  )
  if (reachable === undefined) {
    findings.ok('backend.open', `it answers; ${rowOf(settings).check.opened}`, { subject: name })
    const { vendor, name: product } = adapter.product
    const fields = { vendor, product, ...facts?.fields }
    findings.ok('backend.version', [`${vendor}, ${product}`, ...inWords(facts?.fields)].join('; '), {
      subject: name,
      fields,
    })
  } else {
    findings.problem('backend.open', `it cannot be used (${reachable.code}): ${reachable.message}`, {
      subject: name,
      fields: { code: reachable.code },
      advice: 'see whether the backend is up, and whether a firewall blocks the connection',
      ...commandFor(question),
    })
  }
  tellServers(facts, question, findings)
  return reachable === undefined
}

async function checkKeys(
  adapter: KeyAdapter,
  exposed: ReadonlySet<string>,
  question: BackendQuestion,
  findings: Findings,
): Promise<void> {
  const { name, settings, deadlineMs, written } = question
  const needed = question.pools.some(({ keys }) => keys === 'all' || Object.keys(keys).length > 0)
  const all = needed ? await listKeys(settings) : undefined
  const wanted = wantedKeys(question, all, findings)
  const usable: UsableKey[] = []
  for (const key of wanted) {
    const asked = { adapter, backend: name, row: rowOf(settings), config: written.file, all, exposed }
    const found = await checkKey(key, asked, findings)
    if (found !== undefined) usable.push(found)
  }
  if (!findings.wants('backend.latency')) return
  const measured = new Set<string>()
  for (const { subject, ref, algorithms } of usable) {
    for (const algorithm of algorithms) {
      // Several pools can have the same key.
      const what = `${algorithm} ${ref}`
      if (measured.has(what)) continue
      measured.add(what)
      await checkLatency({ adapter, backend: name, key: subject, ref, algorithm, deadlineMs }, findings)
    }
  }
  if (measured.size === 0) findings.notChecked('backend.latency', 'no key can be used', { subject: name })
}
