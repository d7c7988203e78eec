import { OperatorError, type Facts, type KeyAdapter } from '../../../adapters/contract/index.ts'
import { openBackend } from '../../backends/index.ts'
import type { BackendConfig } from '../../backends/kinds.ts'
import { checkCertificates } from './backend-certificates.ts'
import { asAdapterError, checkSessions, factsOf, inWords, PROBE_MS, tellServers } from './backend-facts.ts'
import { commandFor, type BackendQuestion } from './backend-question.ts'
import type { Findings } from './findings.ts'
import type { UsableKey } from './key-question.ts'
import { checkKey } from './keys.ts'
import { checkLatency } from './latency.ts'
import { callWithin, TooSlow, within } from './time-limit.ts'
import { listKeys, skipKeys, wantedKeys } from './wanted-keys.ts'

/** Longer than an HSM's library may take to come up before the adapter gives it up itself. */
const OPEN_MS = 20_000
const CLOSE_MS = 5000

/** One backend, from the first connection to the last key. */
export async function checkBackend(question: BackendQuestion, findings: Findings, opener = openBackend): Promise<void> {
  const { name, settings, written } = question
  checkKind(name, settings, findings)
  if (settings.kind === 'kmip') checkCertificates(name, settings, written, findings)
  const exposed = new Set<string>()
  const adapter = await open(question, findings, opener, (event, fields) => {
    // Of what an adapter reports, this alone is told by nothing else.
    if (event === 'hsm_key_exposed') exposed.add(String(fields['key']))
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

/** A setting that is right by itself, and should not be found where it counts. */
function checkKind(subject: string, settings: BackendConfig, findings: Findings): void {
  if (settings.kind === 'software') {
    findings.warning('backend.kind', "a software store: the keys are in the gateway's memory", {
      subject,
      advice: 'for development and trials; keep keys that count in an HSM or a key manager',
    })
  } else if (settings.kind === 'kmip' && settings.keyAccess === 'export') {
    findings.warning('backend.kind', "keyAccess is export: keys may be fetched into the gateway's memory", {
      subject,
      advice: 'key.way tells for which; leave the setting out if none needs it',
    })
  } else findings.ok('backend.kind', 'the keys stay in the backend', { subject })
}

async function open(
  { name, settings, written }: BackendQuestion,
  findings: Findings,
  opener: typeof openBackend,
  report: (event: string, fields: Facts) => void,
): Promise<KeyAdapter | undefined> {
  try {
    const opening = opener(settings, (_level, event, fields) => report(event, fields))
    return await within(OPEN_MS, opening, (late) => void late.close())
  } catch (error) {
    if (!(error instanceof OperatorError || error instanceof TooSlow)) throw error
    const code = error instanceof OperatorError ? error.code : 'TIMEOUT'
    findings.problem('backend.open', error.message, {
      subject: name,
      fields: { code },
      advice: openHints[code] ?? 'do what it says, and check again',
      ...commandFor(name, settings, written),
    })
    return undefined
  }
}

const openHints: Readonly<Record<string, string>> = {
  LOGIN_REFUSED: 'make sure of the PIN before the next run: each is one try, and a few wrong ones lock the token',
  KMIP_TLS_REFUSED: "compare the server's certificate with tls.ca and tls.serverName, and the client's with what the server trusts",
  TIMEOUT: 'look whether the backend and the way to it are up',
} // prettier-ignore

/** Whether it can be asked anything. A KMIP adapter opens without its servers, so that a gateway comes up while they are away. */
async function answers(adapter: KeyAdapter, question: BackendQuestion, findings: Findings): Promise<boolean> {
  const { name, settings, written } = question
  const facts = await factsOf(adapter)
  const reachable = await callWithin(PROBE_MS, (context) => adapter.probe(context)).then(() => undefined, asAdapterError)
  if (reachable === undefined) {
    const login = settings.kind === 'pkcs11' ? 'logged in' : settings.kind === 'kmip' ? 'connected' : 'the passphrase opens it'
    findings.ok('backend.open', `it answers; ${login}`, { subject: name })
    const { vendor, name: product } = adapter.product
    const fields = { vendor, product, ...facts?.fields }
    findings.ok('backend.version', [`${vendor}, ${product}`, ...inWords(facts?.fields)].join('; '), { subject: name, fields })
  } else {
    findings.problem('backend.open', `it cannot be used (${reachable.code}): ${reachable.message}`, {
      subject: name,
      fields: { code: reachable.code },
      advice: 'look whether it is up, and whether a firewall stands between',
      ...commandFor(name, settings, written),
    })
  }
  tellServers(facts, question, findings)
  return reachable === undefined
} // prettier-ignore

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
    const asked = { adapter, backend: name, kind: settings.kind, config: written.file, all, exposed }
    const found = await checkKey(key, asked, findings)
    if (found !== undefined) usable.push(found)
  }
  if (!findings.wants('backend.latency')) return
  const measured = new Set<string>()
  for (const { subject, ref, algorithms } of usable) {
    for (const algorithm of algorithms) {
      // One key can be in several pools.
      const what = `${algorithm} ${ref}`
      if (measured.has(what)) continue
      measured.add(what)
      await checkLatency({ adapter, backend: name, key: subject, ref, algorithm, deadlineMs }, findings)
    }
  }
  if (measured.size === 0) findings.notChecked('backend.latency', 'no key can be used', { subject: name })
}
