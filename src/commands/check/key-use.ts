import { randomBytes, timingSafeEqual } from 'node:crypto'
import {
  AdapterError,
  algorithmRow,
  wrapAlgorithms,
  type KeyAdapter,
  type KeyDescription,
  type WayFound,
  type WrapAlgorithm,
} from '../../../adapters/contract/index.ts'
import type { Findings, More } from './findings.ts'
import type { KeyQuestion, WantedKey } from './key-question.ts'
import { callWithin } from './time-limit.ts'

/** Milliseconds, because an HSM may be slow. */
const WAYS_MS = 30_000
const CALL_MS = 5000
const DATA_KEY_BYTES = 32

/**
 * Checks how the backend does each algorithm of the key's type.
 * @returns the algorithms that have a way
 */
export async function checkWays(
  { subject, ref }: WantedKey,
  { kty }: KeyDescription,
  { adapter: { inspection }, row }: KeyQuestion,
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
    for (const found of ways) tellWay(subject, found, any, row.check.undecidedAdvice, findings)
    return ways.flatMap(({ algorithm, way }) => (way === undefined ? [] : [algorithm]))
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error
    findings.problem('key.way', `the backend could not be asked (${error.code}): ${error.message}`, {
      subject,
      advice: 'find out what is wrong with the backend, then check again',
    })
    return []
  }
}

function tellWay(subject: string, wayFound: WayFound, any: boolean, undecidedAdvice: string, findings: Findings) {
  const { algorithm, way, exported, rejected, undecided, maxBytes } = wayFound
  const before = rejected.map((other) => `${other.way}: ${other.reason}`).join('; ')
  const tried = before === '' ? '' : `; rejected: ${before}`
  const more: More = { subject, fields: { algorithm, way: way ?? 'none', rejected: before } }
  const limit = maxBytes === undefined ? '' : `, for values of at most ${maxBytes} bytes`
  if (undecided === true) {
    const found = `${algorithm}: it is not known whether the backend does it right${tried}`
    findings.problem('key.way', found, { ...more, advice: undecidedAdvice })
  } else if (way === undefined) {
    const found = `${algorithm}: no way of the backend gives right results${tried}`
    const advice = 'do not use this key in Azure with this algorithm: the backend cannot do it'
    if (any) findings.warning('key.way', found, { ...more, advice })
    else findings.problem('key.way', found, { ...more, advice })
  } else if (exported === true) {
    const advice =
      'accept this only if the backend has no other way: the gateway holds the key-encryption key in memory'
    findings.warning('key.way', `${algorithm}: ${way}${limit}${tried}`, { ...more, advice })
  } else findings.ok('key.way', `${algorithm}: ${way}${limit}${tried}`, more)
}

/** Whether a random data key comes back unchanged from a wrap and an unwrap. */
export async function comesBack(
  { subject, ref }: WantedKey,
  algorithm: WrapAlgorithm,
  adapter: KeyAdapter,
  findings: Findings,
): Promise<boolean> {
  const dataKey = randomBytes(DATA_KEY_BYTES)
  const zero = (late: Uint8Array) => late.fill(0)
  const more: More = { subject, fields: { algorithm } }
  let step: 'wrap' | 'unwrap' = 'wrap'
  try {
    const wrapped = await callWithin(CALL_MS, (context) => adapter.wrap(ref, algorithm, dataKey, context), zero)
    step = 'unwrap'
    const again = await callWithin(CALL_MS, (context) => adapter.unwrap(ref, algorithm, wrapped, context), zero)
    const same = again.length === dataKey.length && timingSafeEqual(again, dataKey)
    again.fill(0)
    if (same) findings.ok('key.round-trip', `${algorithm}: ${DATA_KEY_BYTES} random bytes came back unchanged`, more)
    else {
      const advice = 'do not use this key; report this with the backend and its version'
      const found = `${algorithm}: unwrapping gave other bytes than were wrapped`
      findings.problem('key.round-trip', found, { ...more, advice })
    }
    return same
  } catch (error) {
    if (!(error instanceof AdapterError)) throw error
    tellFailed(`${algorithm}: the key does not ${step} (${error.code}): ${error.message}`, step, error, more, findings)
    return false
  } finally {
    dataKey.fill(0)
  }
}

function tellFailed(
  found: string,
  step: 'wrap' | 'unwrap',
  { code }: AdapterError,
  more: More,
  findings: Findings,
): void {
  if (step === 'wrap' && (code === 'KEY_DISABLED' || code === 'OPERATION_FORBIDDEN')) {
    const advice = 'this is right for a key that is kept only to unwrap; unwrapping was not tried'
    findings.warning('key.round-trip', found, { ...more, advice })
  } else {
    const advice = 'find out what is wrong with the backend, then check again'
    findings.problem('key.round-trip', found, { ...more, advice })
  }
}
