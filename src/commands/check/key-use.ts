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

/** A slow HSM takes its time. */
const WAYS_MS = 30_000
const CALL_MS = 5000
const DATA_KEY_BYTES = 32

/** The algorithms that have a way. */
export async function checkWays(
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

function tellWay(subject: string, wayFound: WayFound, any: boolean, findings: Findings) {
  const { algorithm, way, exported, rejected, undecided, maxBytes } = wayFound
  const before = rejected.map((other) => `${other.way}: ${other.reason}`).join('; ')
  const tried = before === '' ? '' : `; rejected: ${before}`
  const more: More = { subject, fields: { algorithm, way: way ?? 'none', rejected: before } }
  const limit = maxBytes === undefined ? '' : `, for values of at most ${maxBytes} bytes`
  if (undecided === true) {
    const found = `${algorithm}: it could not be found out whether the backend does it right${tried}`
    const advice =
      'see what makes the backend slow or fail (for an HSM: its load, the way to it, callTimeoutMs), and check again'
    findings.problem('key.way', found, { ...more, advice })
  } else if (way === undefined) {
    const found = `${algorithm}: no way gives right results${tried}`
    const advice = 'the backend cannot do it: Azure must not be given this key for this algorithm'
    if (any) findings.warning('key.way', found, { ...more, advice })
    else findings.problem('key.way', found, { ...more, advice })
  } else if (exported === true) {
    const advice = 'for a backend that can do no better only: the key-encryption key is in the memory of the gateway'
    findings.warning('key.way', `${algorithm}: ${way}${limit}${tried}`, { ...more, advice })
  } else findings.ok('key.way', `${algorithm}: ${way}${limit}${tried}`, more)
}

export async function comesBack(
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
