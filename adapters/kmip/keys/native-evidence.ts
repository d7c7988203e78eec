import { randomBytes } from 'node:crypto'
import type { CallSignal } from '../../contract/index.ts'
import { meaningOf, ResultWrong } from '../errors.ts'
import { crypt } from '../protocol/crypt.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { Requests } from '../transport/requests.ts'
import { keyWrapParameters, nativeKeyWrap, type KnownAnswer } from './native-way.ts'
import type { Way } from './way.ts'

/** Lengths in bytes with which a mode is checked: around every border of the algorithm, and the usual data keys. */
export const checkedLengths = { A256KW: [16, 24, 32, 40, 64], A256KWP: [1, 7, 8, 9, 16, 20, 32, 33] } as const

const SEMIBLOCK = 8

/** Whether the server's mode wraps to what was computed here, unwraps it again, and refuses a damaged value. */
export async function agreesWith(answers: readonly KnownAnswer[], way: Way, signal: CallSignal): Promise<boolean> {
  const right = await Promise.all(
    answers.map(async ({ plaintext, wrapped }) => {
      const there = equal(await way.wrap(plaintext, signal), wrapped)
      return there && equal(await way.unwrap(wrapped, signal), plaintext)
    }),
  )
  const [answer] = answers
  return answer !== undefined && right.every(Boolean) && refuses(way, damaged(answer.wrapped), signal)
}

interface NativeMode {
  readonly cluster: Requests
  readonly id: string
  readonly algorithm: 'A256KW' | 'A256KWP'
  /** Identifier of another key of the operator's, if one is known. */
  readonly sibling: string | undefined
}

/**
 * Qualifies the server's mode with a key for which no results can be computed here, because the server does no single
 * blocks with it. The mode must behave in every way like RFC 3394 or RFC 5649. It unwraps what it wrapped. It wraps the
 * same value to the same result. A change of any one bit of the value changes the whole result. It refuses a damaged
 * value, wherever the damage is. It accepts the lengths of this algorithm and refuses those of the other. Another key
 * does not unwrap its values. No key is created for this on the operator's server.
 *
 * @throws ResultWrong if the mode fails
 */
export async function qualifyAlone(mode: NativeMode, signal: CallSignal): Promise<Way> {
  const { cluster, id, algorithm, sibling } = mode
  const way = nativeKeyWrap(cluster, id, algorithm, undefined, undefined)
  const answers = await Promise.all(checkedLengths[algorithm].map((bytes) => roundTrip(way, bytes, signal)))
  // The longest value shows the most.
  const answer = answers.at(-1)
  if (answer === undefined) throw new Error('no lengths to check')
  const { plaintext, wrapped } = answer
  assert(equal(await way.wrap(plaintext, signal), wrapped), 'it wraps the same value into another result each time')
  const other = await way.wrap(damaged(plaintext), signal)
  const pieces = Array.from({ length: wrapped.length / SEMIBLOCK }, (_, index) => index * SEMIBLOCK)
  const piece = (bytes: Uint8Array, at: number) => bytes.subarray(at, at + SEMIBLOCK)
  assert(!pieces.some((at) => equal(piece(other, at), piece(wrapped, at))), 'it encrypts parts of a value separately')
  const shut = await Promise.all(pieces.map((at) => refuses(way, damaged(wrapped, at), signal)))
  assert(shut.every(Boolean), 'it unwraps a damaged value')
  if (algorithm === 'A256KW') await assertRefusesHalves(mode, signal)
  if (sibling !== undefined) await assertStaysShut(mode, sibling, wrapped, signal)
  return nativeKeyWrap(cluster, id, algorithm, undefined, answer)
}

/** The same for a key that may no longer encrypt. It can show only that the mode does not unwrap every value. */
export async function qualifyOpening(mode: NativeMode, signal: CallSignal): Promise<Way> {
  const way = nativeKeyWrap(mode.cluster, mode.id, mode.algorithm, undefined, undefined)
  assert(await refuses(way, randomBytes(5 * SEMIBLOCK), signal), 'it unwraps a random value')
  return way
}

async function roundTrip(way: Way, bytes: number, signal: CallSignal): Promise<KnownAnswer> {
  const plaintext = randomBytes(bytes)
  const wrapped = await way.wrap(plaintext, signal)
  assert(equal(await way.unwrap(wrapped, signal), plaintext), 'it does not unwrap what it wrapped')
  return { plaintext, wrapped }
}

/** RFC 3394 accepts only whole semiblocks. Some servers do RFC 5649 under its number, which accepts every length. */
async function assertRefusesHalves({ cluster, id, algorithm }: NativeMode, signal: CallSignal): Promise<void> {
  const halves = crypt('encrypt', id, keyWrapParameters[algorithm], randomBytes(2.5 * SEMIBLOCK))
  const [said] = await cluster.batch([halves], signal)
  if (said.ok) throw new ResultWrong('it accepts lengths that the algorithm forbids')
  if (isForbidden(said.refusal)) throw said.refusal
}

async function assertStaysShut(
  { cluster, algorithm }: NativeMode,
  sibling: string,
  wrapped: Uint8Array,
  signal: CallSignal,
): Promise<void> {
  const [said] = await cluster.batch([crypt('decrypt', sibling, keyWrapParameters[algorithm], wrapped)], signal)
  if (!said.ok) return
  said.value.fill(0)
  throw new ResultWrong(
    `the key ${sibling} unwraps what it wraps: both are the same key, or the server ignores which key is named`,
  )
}

/** A mode that returns a result for a damaged value checks no integrity. */
async function refuses(way: Way, bad: Uint8Array, signal: CallSignal): Promise<boolean> {
  try {
    const result = await way.unwrap(bad, signal)
    result.fill(0)
    return false
  } catch (error) {
    if (!(error instanceof KmipRefusal) || isForbidden(error)) throw error
    const meaning = meaningOf(error, 'unwrap')
    return meaning === 'CIPHERTEXT_INVALID' || meaning === 'UNCLEAR'
  }
}

/** A copy with one bit flipped in the semiblock at `at`; by default in the last one. */
const damaged = (bytes: Uint8Array, at = bytes.length - SEMIBLOCK): Uint8Array =>
  bytes.map((byte, index) => (index === at + SEMIBLOCK - 1 ? byte ^ 1 : byte))

function assert(right: boolean, problem: string): void {
  if (!right) throw new ResultWrong(problem)
}

const forbidding: readonly string[] = ['KEY_NOT_FOUND', 'KEY_DISABLED', 'BACKEND_BUSY']

/** True if the refusal concerns the key or the moment, not what the server can do. */
export const isForbidden = (refusal: KmipRefusal): boolean => forbidding.includes(meaningOf(refusal, 'wrap'))

const equal = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0
