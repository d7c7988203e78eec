import type { X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  AdapterError,
  isKeyName,
  OperatorError,
  type BackendFacts,
  type Facts,
  type KeyAdapter,
  type KeyRef,
  type KeySummary,
} from '../../../adapters/contract/index.ts'
import { administerBackend, openBackend } from '../../backends.ts'
import type { BackendConfig, PoolConfig } from '../../config/schema.ts'
import { parsePemCertificates } from '../../config/fields.ts'
import type { Findings } from './findings.ts'
import { checkKey, type UsableKey, type WantedKey } from './keys.ts'
import { checkLatency } from './latency.ts'
import { count, quoted } from './words.ts'
import { callWithin, TooSlow, within } from './time-limit.ts'
import type { WrittenSettings } from './written-settings.ts'
import { nameOf, validityOf, WARNING_DAYS } from './x509.ts'

export interface BackendQuestion {
  readonly name: string
  readonly settings: BackendConfig
  /** Those that use it. */
  readonly pools: readonly Pick<PoolConfig, 'name' | 'keys'>[]
  readonly deadlineMs: number
  readonly written: WrittenSettings
}

/** Longer than an HSM's library may take to come up before the adapter gives it up itself. */
const OPEN_MS = 20_000
const PROBE_MS = 8000
const LIST_MS = 10_000
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

/** How to look at it without the gateway. */
function commandFor(name: string, settings: BackendConfig, written: WrittenSettings): { command?: string } {
  if (settings.kind === 'pkcs11') return { command: `pkcs11-tool --module ${quoted(settings.module)} --list-token-slots` }
  if (settings.kind !== 'kmip') return {}
  const [server] = settings.servers
  const file = (setting: string) => quoted(written.path('backends', name, 'tls', setting) ?? `${setting}.pem`)
  const where = server === undefined ? 'HOST:5696' : `${server.host}:${server.port ?? 5696}`
  const files = `-CAfile ${file('ca')} -cert ${file('certificate')} -key ${file('key')}`
  return { command: `openssl s_client -connect ${where} ${files} </dev/null` }
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

/** Told by backend.sessions. */
const sessionFields: readonly string[] = ['sessions', 'openSessions', 'maxSessions']

const inWords = (fields: Facts = {}): string[] =>
  Object.entries(fields)
    .filter(([name]) => !sessionFields.includes(name))
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`)

const asAdapterError = (error: unknown): AdapterError => {
  if (error instanceof AdapterError) return error
  throw error
}

async function factsOf(adapter: KeyAdapter): Promise<BackendFacts | undefined> {
  const { inspection } = adapter
  if (inspection === undefined) return undefined
  try {
    return await callWithin(PROBE_MS, (context) => inspection.facts(context))
  } catch (error) {
    asAdapterError(error)
    return undefined
  }
}

function tellServers(facts: BackendFacts | undefined, question: BackendQuestion, findings: Findings): void {
  const { name, settings, written } = question
  const servers = facts?.servers ?? []
  const some = servers.some(({ unusable }) => unusable === undefined)
  for (const { address, unusable, fields } of servers) {
    const more = { subject: name, fields: { server: address, ...fields } }
    if (unusable === undefined) findings.ok('backend.servers', `${address}: ${inWords(fields).join(', ')}`, more)
    else {
      const found = `${address} cannot be used: ${unusable}`
      const help = { ...more, advice: serverHints[unusable] ?? 'look at that server', ...commandFor(name, settings, written) }
      // The others serve in its place.
      if (some) findings.warning('backend.servers', found, help)
      else findings.problem('backend.servers', found, help)
    }
  }
} // prettier-ignore

const serverHints: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is it running, and is this its port?',
  ETIMEDOUT: 'does a firewall stand between?',
  ENOTFOUND: 'there is no such host: correct servers, or the DNS',
  EHOSTUNREACH: 'there is no way to that host',
}

function checkCertificates(
  name: string,
  { tls }: Extract<BackendConfig, { kind: 'kmip' }>,
  written: WrittenSettings,
  findings: Findings,
): void {
  for (const setting of ['certificate', 'ca'] as const) {
    for (const certificate of pemCertificates(tls[setting])) {
      const { state, inWords: words, daysLeft } = validityOf(certificate)
      const found = `${setting === 'ca' ? 'the CA' : "this client's"} ${nameOf(certificate)}: ${words}`
      const file = written.path('backends', name, 'tls', setting)
      const more = { subject: name, fields: { daysLeft, setting } }
      const help = {
        ...more,
        advice: `have it renewed (fewer than ${WARNING_DAYS} days are a warning), and restart`,
        ...(file !== undefined && { command: `openssl x509 -noout -subject -dates -in ${quoted(file)}` }),
      }
      if (state === 'valid') findings.ok('backend.certificates', found, more)
      else if (state === 'ends soon') findings.warning('backend.certificates', found, help)
      else findings.problem('backend.certificates', found, help)
    }
  }
}

export const pemCertificates = (pem: Uint8Array): readonly X509Certificate[] =>
  parsePemCertificates(Buffer.from(pem).toString('latin1')) ?? []

const SESSIONS_MS = 5000

/** Sessions are opened one after another in the background. */
async function checkSessions(adapter: KeyAdapter, question: BackendQuestion, findings: Findings): Promise<void> {
  const { name, settings } = question
  if (settings.kind !== 'pkcs11') return
  const read = async () => {
    const { sessions, openSessions, maxSessions } = (await factsOf(adapter))?.fields ?? {}
    return { sessions: Number(sessions), openSessions: Number(openSessions), maxSessions }
  }
  let now = await read()
  for (const began = performance.now(); now.openSessions < now.sessions; now = await read()) {
    if (performance.now() - began > SESSIONS_MS) break
    await sleep(50)
  }
  const { sessions, openSessions, maxSessions } = now
  const limit = maxSessions === undefined ? 'the token names no limit' : `the token allows ${maxSessions}`
  const found = `${openSessions} of ${settings.sessions ?? sessions} sessions are open; ${limit}`
  const more = { subject: name, fields: { sessions, openSessions, ...(maxSessions !== undefined && { maxSessions }) } }
  if (openSessions >= (settings.sessions ?? sessions)) findings.ok('backend.sessions', found, more)
  else {
    const advice = 'lower sessions, or see who else has sessions on the token (a running gateway has)'
    findings.warning('backend.sessions', found, { ...more, advice })
  }
}

/** With `keys: all`, so many are looked at. */
const MOST_KEYS = 20

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
      if (measured.has(algorithm)) continue
      measured.add(algorithm)
      await checkLatency({ adapter, backend: name, key: subject, ref, algorithm, deadlineMs }, findings)
    }
  }
  if (measured.size === 0) findings.notChecked('backend.latency', 'no key can be used', { subject: name })
}

/** `undefined` where they cannot be listed, or not in time. */
async function listKeys(settings: BackendConfig): Promise<readonly KeySummary[] | undefined> {
  try {
    const administration = await administerBackend(settings)
    return administration && (await within(LIST_MS, administration.list()))
  } catch (error) {
    if (error instanceof OperatorError || error instanceof TooSlow) return undefined
    throw error
  }
}

function wantedKeys(
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
      const found = `the pool has all ${count(names.length, 'key')} of ${name}; the first ${MOST_KEYS} are checked`
      findings.notChecked('key.found', found, { subject: pool.name })
    }
    return names.slice(0, MOST_KEYS).map((key) => ({ subject: `${pool.name}/${key}`, name: key, ref: key as KeyRef }))
  })
}

function skipKeys({ name, pools }: BackendQuestion, findings: Findings): void {
  const keys = pools.flatMap(({ name: pool, keys: listed }) =>
    listed === 'all' ? [`${pool}/*`] : Object.keys(listed).map((key) => `${pool}/${key}`),
  )
  for (const key of keys) {
    findings.notChecked('key.found', `the backend ${name} cannot be used; see backend.open`, { subject: key })
  }
}
