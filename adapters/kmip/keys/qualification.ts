import { randomBytes } from 'node:crypto'
import {
  AdapterError,
  algorithmRow,
  type CallSignal,
  type RejectedWay,
  type Report,
  type WrapAlgorithm,
} from '../../contract/index.ts'
import { unwrapAll, wrapAll } from '../../key-wrap/index.ts'
import { ResultWrong } from '../errors.ts'
import { usageMask } from '../protocol/numbers.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { Requests } from '../transport/requests.ts'
import { qualifyBlockCipher, qualifyDecryption, type ServerBlockCipher } from './block-cipher.ts'
import { composedWay } from './composed-way.ts'
import { exportedKeyWrap, exportedOaep } from './exported-way.ts'
import { assertUsable } from './key-state.ts'
import type { KmipKey } from './kmip-key.ts'
import { agreesWith, checkedLengths, isForbidden, qualifyAlone, qualifyOpening } from './native-evidence.ts'
import { keyWrapMode, nativeKeyWrap, nativeOaep, type KnownAnswer } from './native-way.ts'
import type { Way } from './way.ts'

export interface QualificationContext {
  readonly cluster: Requests
  /** {@link findBlockCipher} of the key. Both algorithms share the result. */
  readonly blockCipher: () => Promise<Found<ServerBlockCipher>>
  /** Identifier of another AES key of the operator's, if one is known. */
  readonly sibling: () => string | undefined
  readonly exportAllowed: boolean
  readonly report: Report
  readonly signal: CallSignal
}

/** The way that was found, if any, and the ways that were rejected before it. */
export interface Found<T> {
  readonly found: T | undefined
  readonly rejected: readonly RejectedWay[]
}

/** The blocks have been checked already. What is left to check is how they are combined. */
const composedLengths = { A256KW: [16, 24], A256KWP: [1, 9, 16] } as const

/** The names of the ways in messages to an operator. */
const names = {
  noPadding: 'AES-ECB blocks without padding',
  padding: 'AES-ECB blocks with PKCS #5 padding',
  decryption: 'AES-ECB decryption without padding',
  keyWrap: "the server's own key wrap mode",
  composed: 'key wrap composed of AES-ECB blocks',
  oaep: "the server's own RSA-OAEP",
  exported: 'the key fetched into the gateway',
} as const

const WRONG = 'it gives wrong results'
const notAllowed: RejectedWay = { way: names.exported, reason: 'keyAccess is not export' }

/** The way's name for an operator. */
export const wayName = (kind: Way['kind'], algorithm: WrapAlgorithm): string => {
  if (kind !== 'native') return names[kind]
  return algorithm === 'A256KW' || algorithm === 'A256KWP' ? names.keyWrap : names.oaep
}

/**
 * Finds the best way to do `algorithm` with `key` on this server: the server's own mode, otherwise composed of single
 * blocks, otherwise, if the operator allows it, with the exported key. A way is returned only after it gave right
 * results for several lengths.
 *
 * @throws KmipRefusal if the key may not be used
 * @throws AdapterError if the server could not be asked
 */
export async function qualify(
  key: KmipKey,
  algorithm: WrapAlgorithm,
  context: QualificationContext,
): Promise<Found<Way>> {
  const { description } = key
  if (algorithm === 'A256KW' || algorithm === 'A256KWP') return qualifyKeyWrap(key, algorithm, context)
  return description.kty === 'RSA'
    ? qualifyOaep(key, algorithm, description, context)
    : { found: undefined, rejected: [] }
}

/** AES blocks on the server, with the padding on which it insists. Undefined if the server does not do them. */
export const findBlockCipher = (
  cluster: Requests,
  key: KmipKey,
  signal: CallSignal,
): Promise<Found<ServerBlockCipher>> =>
  firstThatWorks(
    mayEncrypt(key)
      ? [
          [names.noPadding, () => qualifyBlockCipher(cluster, key.id, 'None', signal)],
          [names.padding, () => qualifyBlockCipher(cluster, key.id, 'PKCS5', signal)],
        ]
      : [[names.decryption, () => qualifyDecryption(cluster, key.id, signal)]],
  )

async function qualifyKeyWrap(
  key: KmipKey,
  algorithm: 'A256KW' | 'A256KWP',
  context: QualificationContext,
): Promise<Found<Way>> {
  const { signal } = context
  const { found: cipher, rejected: paddings } = await context.blockCipher()
  if (cipher === undefined) return qualifyWithoutBlocks(key, algorithm, paddings, context)
  const composed = composedWay('composed', keyWrapMode[algorithm], cipher)
  if (!mayEncrypt(key)) return { found: composed, rejected: paddings }
  const offered = await firstThatWorks([[names.keyWrap, () => isOffered(key.id, algorithm, composed, context)]])
  let rejected = offered.rejected
  if (offered.found === true) {
    const answers = await knownAnswers(algorithm, checkedLengths[algorithm], cipher, signal)
    const native = await firstThatWorks([
      [names.keyWrap, () => checkedNative(key.id, algorithm, composed, answers, context)],
    ])
    if (native.found !== undefined) return native
    rejected = native.rejected
  }
  const answers = await knownAnswers(algorithm, composedLengths[algorithm], cipher, signal)
  const opened = await unwrapAll(
    keyWrapMode[algorithm],
    answers.map(({ wrapped }) => wrapped),
    cipher.decrypt(signal),
  )
  const right = answers.every(({ plaintext }, index) => {
    const value = opened[index]
    return value !== undefined && Buffer.compare(value, plaintext) === 0
  })
  return right
    ? { found: composed, rejected: [...rejected, ...paddings] }
    : { found: undefined, rejected: [...rejected, ...paddings, { way: names.composed, reason: WRONG }] }
}

/** Without single blocks, the right results cannot be computed, and the mode is judged by its behaviour alone. */
async function qualifyWithoutBlocks(
  key: KmipKey,
  algorithm: 'A256KW' | 'A256KWP',
  paddings: readonly RejectedWay[],
  { cluster, sibling, exportAllowed, signal }: QualificationContext,
): Promise<Found<Way>> {
  const mode = { cluster, id: key.id, algorithm, sibling: sibling() }
  const exported = async () => exportedKeyWrap(cluster, key.id, algorithm)
  const { found, rejected } = await firstThatWorks([
    [names.keyWrap, () => (mayEncrypt(key) ? qualifyAlone(mode, signal) : qualifyOpening(mode, signal))],
    ...(exportAllowed ? [[names.exported, exported] as const] : []),
  ])
  const before = [...paddings, ...rejected]
  return { found, rejected: found === undefined && !exportAllowed ? [...before, notAllowed] : before }
}

/** Whether the server offers the mode at all, which one request shows. Rejects with the server's refusal if not. */
async function isOffered(
  id: string,
  algorithm: 'A256KW' | 'A256KWP',
  composed: Way,
  { cluster, signal }: QualificationContext,
): Promise<boolean> {
  await nativeKeyWrap(cluster, id, algorithm, composed, undefined).wrap(Buffer.alloc(16, 1), signal)
  return true
}

/**
 * The results that the algorithm must give. They are computed here from single blocks that the server encrypts. All
 * lengths advance in lockstep.
 */
async function knownAnswers(
  algorithm: 'A256KW' | 'A256KWP',
  lengths: readonly number[],
  cipher: ServerBlockCipher,
  signal: CallSignal,
): Promise<readonly KnownAnswer[]> {
  const plaintexts = lengths.map((bytes) => randomBytes(bytes))
  const wrapped = await wrapAll(keyWrapMode[algorithm], plaintexts, cipher.encrypt(signal))
  return plaintexts.flatMap((plaintext, index) => {
    const value = wrapped[index]
    return value === undefined ? [] : [{ plaintext, wrapped: value }]
  })
}

async function checkedNative(
  id: string,
  algorithm: 'A256KW' | 'A256KWP',
  composed: Way,
  answers: readonly KnownAnswer[],
  { cluster, report, signal }: QualificationContext,
): Promise<Way | undefined> {
  const way = nativeKeyWrap(cluster, id, algorithm, composed, answers[0])
  if (await agreesWith(answers, way, signal)) return way
  report('warn', 'kmip_mode_wrong', { key: id, algorithm })
  return undefined
}

async function qualifyOaep(
  key: KmipKey,
  algorithm: WrapAlgorithm,
  description: Extract<KmipKey['description'], { kty: 'RSA' }>,
  { cluster, exportAllowed, signal }: QualificationContext,
): Promise<Found<Way>> {
  const native = nativeOaep(cluster, key.id, algorithm, description, undefined)
  const exported = () => exportedOaep(cluster, key.id, algorithm, description)
  const { max } = algorithmRow(algorithm).plaintext(description.bits)
  const answers = await Promise.all(
    [1, 32, max].map(async (bytes): Promise<KnownAnswer> => {
      const plaintext = randomBytes(bytes)
      return { plaintext, wrapped: await native.wrap(plaintext, signal) }
    }),
  )
  const opens = async (way: Way) => {
    for (const { plaintext, wrapped } of answers) {
      if (Buffer.compare(await way.unwrap(wrapped, signal), plaintext) !== 0) return undefined
    }
    return way
  }
  const { found, rejected } = await firstThatWorks([
    [names.oaep, async () => (await opens(native)) && nativeOaep(cluster, key.id, algorithm, description, answers[0])],
    ...(exportAllowed ? [[names.exported, () => opens(exported())] as const] : []),
  ])
  return { found, rejected: found === undefined && !exportAllowed ? [...rejected, notAllowed] : rejected }
}

/** A key that is not Active, or whose mask forbids encryption, can still unwrap what it wrapped before. */
function mayEncrypt({ attributes }: KmipKey): boolean {
  if (attributes.usageMask !== undefined && (attributes.usageMask & usageMask.Encrypt) === 0) return false
  try {
    assertUsable(attributes, 'wrap', new Date())
    return true
  } catch {
    return false
  }
}

/**
 * Tries the ways in order. It skips a way that the server cannot do or does wrongly. A key that may not be used ends
 * the search.
 */
async function firstThatWorks<T>(
  attempts: readonly (readonly [way: string, attempt: () => Promise<T | undefined>])[],
): Promise<Found<T>> {
  const rejected: RejectedWay[] = []
  for (const [way, attempt] of attempts) {
    try {
      const found = await attempt()
      if (found !== undefined) return { found, rejected }
      rejected.push({ way, reason: WRONG })
    } catch (error) {
      if (!isNoWay(error)) throw error
      rejected.push({ way, reason: error instanceof Error ? error.message : 'unknown' })
    }
  }
  return { found: undefined, rejected }
}

function isNoWay(error: unknown): boolean {
  if (error instanceof KmipRefusal) return !isForbidden(error)
  return error instanceof ResultWrong || (error instanceof AdapterError && error.code === 'CIPHERTEXT_INVALID')
}
