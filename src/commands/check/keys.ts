import { randomBytes, timingSafeEqual } from 'node:crypto'
import {
  AdapterError,
  algorithmRow,
  wrapAlgorithms,
  type KeyAdapter,
  type KeyDescription,
  type KeyRef,
  type KeySummary,
  type WayFound,
  type WrapAlgorithm,
} from '../../../adapters/contract/index.ts'
import type { BackendConfig } from '../../config/schema.ts'
import type { Findings, More } from './findings.ts'
import { nearMiss } from './near-miss.ts'
import { quoted } from './words.ts'
import { callWithin } from './time-limit.ts'
import { dayOf, daysUntil, WARNING_DAYS } from './x509.ts'

/** A key that a pool lists, or that it has because it has them all. */
export interface WantedKey {
  /** `pool/key`. */
  readonly subject: string
  /** The external key id. */
  readonly name: string
  readonly ref: KeyRef
}

export interface KeyQuestion {
  readonly adapter: KeyAdapter
  readonly backend: string
  readonly kind: BackendConfig['kind']
  /** The configuration file, for commands. */
  readonly config: string
  /** Every key of the backend, where they can be listed. */
  readonly all: readonly KeySummary[] | undefined
  /** References of keys of which the backend says that they could leave it. */
  readonly exposed: ReadonlySet<string>
}

/** A key that can be used, and for which algorithms. */
export interface UsableKey extends WantedKey {
  readonly algorithms: readonly WrapAlgorithm[]
}

const DESCRIBE_MS = 5000
const WAYS_MS = 15_000
const CALL_MS = 5000
const DATA_KEY_BYTES = 32

/** One key: whether it is there, how it is used, and whether what it wraps comes back. */
export async function checkKey(
  key: WantedKey,
  question: KeyQuestion,
  findings: Findings,
): Promise<UsableKey | undefined> {
  const { adapter, exposed } = question
  const { subject, ref } = key
  let description: KeyDescription
  try {
    description = await callWithin(DESCRIBE_MS, (context) => adapter.describe(ref, context))
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error
    tellUnusable(key, error, question, findings)
    return undefined
  }
  const words = description.kty === 'oct' ? `an AES key of ${description.bits} bits` : `an RSA key of ${description.bits} bits`
  findings.ok('key.found', words, { subject, fields: { kty: description.kty, bits: description.bits } })
  checkNames(key, question, findings)
  checkEnd(key, question, findings)
  if (exposed.has(ref)) {
    findings.warning('key.exposed', 'it can leave the token: CKA_SENSITIVE is false, or CKA_EXTRACTABLE is true', {
      subject,
      advice: 'make a new one with keys create, move to it, and set requireSensitive',
    })
  }
  const algorithms = await checkWays(key, description, question, findings)
  const working: WrapAlgorithm[] = []
  for (const algorithm of algorithms) {
    if (await comesBack(key, algorithm, adapter, findings)) working.push(algorithm)
  }
  return { ...key, algorithms: working }
} // prettier-ignore

/** A name can be taken twice only where the reference is a name. */
const isName = (ref: KeyRef): boolean => !/^(?:id|kmip|pkcs11):/.test(ref)

const namesakes = ({ ref }: WantedKey, all: readonly KeySummary[]) => all.filter(({ name }) => name === ref)

function tellUnusable(
  key: WantedKey,
  error: AdapterError,
  { backend, kind, config, all }: KeyQuestion,
  findings: Findings,
): void {
  const { subject, name, ref } = key
  const fields = { code: error.code, ...(error.detail !== undefined && { detail: error.detail }) }
  const list = `ekm-gateway keys list --config ${quoted(config)} --backend ${backend}`
  if (error.code === 'KEY_UNSUPPORTED' && isName(ref) && all !== undefined && namesakes(key, all).length > 1) {
    findings.problem('key.unique', error.message, {
      subject,
      fields,
      advice: 'rename all but one, or say which is meant with ref',
      command: list,
    })
    return
  }
  if (error.code === 'KEY_NOT_FOUND') {
    const close = isName(ref) ? (all ?? []).filter((other) => nearMiss(ref, other.name) !== undefined) : []
    const [first] = close
    if (first === undefined) {
      const advice = "make it, or correct the pool's list by what there is"
      findings.problem('key.found', `not there: ${error.message}`, { subject, fields, advice, command: list })
    } else {
      findings.problem('key.found', `not there: ${error.message}`, {
        subject,
        fields,
        advice: `is ${first.name} meant? write ${name}: { ref: ${first.name} } in the pool's keys, or that name in Azure`,
        command: list,
      })
      for (const { name: other } of close) {
        findings.warning('key.near-miss', `the backend has ${other}, which ${nearMiss(ref, other) ?? ''}`, {
          subject,
          advice: 'see key.found',
        })
      }
    }
    return
  }
  const more: More = { subject, fields }
  if (error.code === 'KEY_DISABLED' && kind === 'software') {
    const command = `ekm-gateway keys enable ${ref} --config ${quoted(config)} --backend ${backend}`
    findings.problem('key.found', `not in use: ${error.message}`, { ...more, advice: 'if it is disabled, enable it', command })
  } else if (error.code === 'KEY_DISABLED') {
    findings.problem('key.found', `not in use: ${error.message}`, { ...more, advice: "activate it with the backend's own tools" })
  } else {
    findings.problem('key.found', `cannot be used (${error.code}): ${error.message}`, { ...more, advice: hints[error.code] ?? 'look at the backend' })
  }
} // prettier-ignore

const hints: Readonly<Partial<Record<AdapterError['code'], string>>> = {
  KEY_UNSUPPORTED: 'the API knows AES of 256 bits and RSA of 2048, 3072 and 4096',
  OPERATION_FORBIDDEN: "change the key's policy in the backend",
}

function checkNames(key: WantedKey, { all, backend, config }: KeyQuestion, findings: Findings): void {
  const { subject, ref } = key
  if (!isName(ref)) return
  if (all === undefined) {
    findings.notChecked('key.unique', "the backend's keys cannot be listed", { subject })
    return
  }
  findings.ok('key.unique', `the only key of the name ${ref}`, { subject })
  // Keys of successive years differ by a character, on purpose.
  const close = all.filter(({ name }) => /case|punctuation/.test(nearMiss(ref, name) ?? ''))
  for (const { name } of close) {
    findings.warning('key.near-miss', `there is ${name} too, which ${nearMiss(ref, name) ?? ''}`, {
      subject,
      advice: 'be sure that Azure was told the right one: it cannot be changed there',
      command: `ekm-gateway keys list --config ${quoted(config)} --backend ${backend}`,
    })
  }
  if (close.length === 0) findings.ok('key.near-miss', 'no key has nearly this name', { subject })
}

function checkEnd(key: WantedKey, { all = [] }: KeyQuestion, findings: Findings): void {
  const [summary] = isName(key.ref) ? namesakes(key, all) : []
  if (summary?.expires === undefined) return
  const daysLeft = daysUntil(summary.expires)
  const found = `may be used until ${dayOf(summary.expires)}, ${daysLeft} days left`
  const more = { subject: key.subject, fields: { daysLeft } }
  if (daysLeft >= WARNING_DAYS) findings.ok('key.expiry', found, more)
  else {
    const advice = 'make its successor, and a new version of the key in Azure, before then'
    findings.warning('key.expiry', found, { ...more, advice })
  }
}

/** The algorithms that have a way. */
async function checkWays(
  { subject, ref }: WantedKey,
  { kty }: KeyDescription,
  { adapter: { inspection } }: KeyQuestion,
  findings: Findings,
): Promise<WrapAlgorithm[]> {
  const algorithms = wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === kty)
  if (inspection === undefined) {
    findings.notChecked('key.way', 'this kind of backend does not say', { subject })
    return algorithms
  }
  try {
    const ways = await callWithin(WAYS_MS, (context) => inspection.ways(ref, context))
    const any = ways.some(({ way }) => way !== undefined)
    for (const found of ways) tellWay(subject, found, any, findings)
    return ways.flatMap(({ algorithm, way }) => (way === undefined ? [] : [algorithm]))
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error
    findings.problem('key.way', `it could not be found out (${error.code}): ${error.message}`, {
      subject,
      advice: 'look at the backend, and check again',
    })
    return []
  }
}

function tellWay(subject: string, { algorithm, way, exported, rejected }: WayFound, any: boolean, findings: Findings) {
  const before = rejected.map((other) => `${other.way}: ${other.reason}`).join('; ')
  const tried = before === '' ? '' : `; rejected: ${before}`
  const more: More = { subject, fields: { algorithm, way: way ?? 'none', rejected: before } }
  if (way === undefined) {
    const found = `${algorithm}: no way gives right results${tried}`
    const advice = 'the backend cannot do it: Azure must not be given this key for this algorithm'
    if (any) findings.warning('key.way', found, { ...more, advice })
    else findings.problem('key.way', found, { ...more, advice })
  } else if (exported === true) {
    const advice = 'for a backend that can do no better only: the key-encryption key is in the memory of the gateway'
    findings.warning('key.way', `${algorithm}: ${way}${tried}`, { ...more, advice })
  } else findings.ok('key.way', `${algorithm}: ${way}${tried}`, more)
}

async function comesBack(
  { subject, ref }: WantedKey,
  algorithm: WrapAlgorithm,
  adapter: KeyAdapter,
  findings: Findings,
): Promise<boolean> {
  const dataKey = randomBytes(DATA_KEY_BYTES)
  const zero = (late: Uint8Array) => late.fill(0)
  const more: More = { subject, fields: { algorithm } }
  let step = 'wrap'
  try {
    const wrapped = await callWithin(CALL_MS, (context) => adapter.wrap(ref, algorithm, dataKey, context), zero)
    step = 'unwrap'
    const again = await callWithin(CALL_MS, (context) => adapter.unwrap(ref, algorithm, wrapped, context), zero)
    const same = again.length === dataKey.length && timingSafeEqual(again, dataKey)
    again.fill(0)
    if (same) findings.ok('key.round-trip', `${algorithm}: ${DATA_KEY_BYTES} random bytes came back as they were`, more)
    else {
      const advice = 'do not use this key; report it, with the backend and its version'
      findings.problem('key.round-trip', `${algorithm}: what came back is not what was wrapped`, { ...more, advice })
    }
    return same
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error
    const found = `${algorithm}: it does not ${step} (${error.code}): ${error.message}`
    if (step === 'wrap' && (error.code === 'KEY_DISABLED' || error.code === 'OPERATION_FORBIDDEN')) {
      const advice = 'right for a key that is only kept for what it wrapped before; unwrapping was not tried'
      findings.warning('key.round-trip', found, { ...more, advice })
    } else findings.problem('key.round-trip', found, { ...more, advice: 'look at the backend, and check again' })
    return false
  } finally {
    dataKey.fill(0)
  }
}
