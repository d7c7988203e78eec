import { randomBytes } from 'node:crypto'
import type { CallSignal } from '../../contract/index.ts'
import { meaningOf, ResultWrong } from '../errors.ts'
import { crypt } from '../protocol/crypt.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { KmipCluster } from '../transport/cluster.ts'
import { keyWrapParameters, nativeKeyWrap, type KnownAnswer } from './native-way.ts'
import type { Way } from './way.ts'

/** Lengths in bytes that a mode is checked with: around every border of the algorithm, and the usual data keys. */
export const checkedLengths = { A256KW: [16, 24, 32, 40, 64], A256KWP: [1, 7, 8, 9, 16, 20, 32, 33] } as const

const SEMIBLOCK = 8

/** Whether the server's mode gives what was computed here, and opens it, but nothing that was damaged. */
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
  readonly cluster: KmipCluster
  readonly id: string
  readonly algorithm: 'A256KW' | 'A256KWP'
  /** Identifier of another key of the operator's, if one is known. */
  readonly sibling: string | undefined
}

/**
 * The server's mode, on a key that gives no single blocks to compute the right results from. What it does must look in every
 * way like RFC 3394 or RFC 5649: what it wraps comes back; the same value gives the same; each bit of the value changes
 * all that comes out; nothing damaged is opened, wherever the damage is; the lengths are those of this algorithm and not of
 * the other; and another key does not open it. No key is made for it on the operator's server. Throws {@link ResultWrong}.
 */
export async function qualifyAlone(mode: NativeMode, signal: CallSignal): Promise<Way> {
  const { cluster, id, algorithm, sibling } = mode
  const way = nativeKeyWrap(cluster, id, algorithm, undefined, undefined)
  const answers = await Promise.all(checkedLengths[algorithm].map((bytes) => roundTrip(way, bytes, signal)))
  // The longest shows most.
  const answer = answers.at(-1)
  if (answer === undefined) throw new Error('no lengths to check')
  const { plaintext, wrapped } = answer
  assert(equal(await way.wrap(plaintext, signal), wrapped), 'the same value gives another result each time')
  const other = await way.wrap(damaged(plaintext), signal)
  const pieces = Array.from({ length: wrapped.length / SEMIBLOCK }, (_, index) => index * SEMIBLOCK)
  const piece = (bytes: Uint8Array, at: number) => bytes.subarray(at, at + SEMIBLOCK)
  assert(
    !pieces.some((at) => equal(piece(other, at), piece(wrapped, at))),
    'parts of a value are encrypted by themselves',
  )
  const shut = await Promise.all(pieces.map((at) => refuses(way, damaged(wrapped, at), signal)))
  assert(shut.every(Boolean), 'it opens a damaged value')
  if (algorithm === 'A256KW') await assertRefusesHalves(mode, signal)
  if (sibling !== undefined) await assertStaysShut(mode, sibling, wrapped, signal)
  return nativeKeyWrap(cluster, id, algorithm, undefined, answer)
}

/** The same for a key that may not encrypt any more: all that shows is that it does not open everything. */
export async function qualifyOpening(mode: NativeMode, signal: CallSignal): Promise<Way> {
  const way = nativeKeyWrap(mode.cluster, mode.id, mode.algorithm, undefined, undefined)
  assert(await refuses(way, randomBytes(5 * SEMIBLOCK), signal), 'it opens a random value')
  return way
}

async function roundTrip(way: Way, bytes: number, signal: CallSignal): Promise<KnownAnswer> {
  const plaintext = randomBytes(bytes)
  const wrapped = await way.wrap(plaintext, signal)
  assert(equal(await way.unwrap(wrapped, signal), plaintext), 'what it wraps does not come back')
  return { plaintext, wrapped }
}

/** RFC 3394 takes whole semiblocks; RFC 5649, which some servers do under its number, takes every length. */
async function assertRefusesHalves({ cluster, id, algorithm }: NativeMode, signal: CallSignal): Promise<void> {
  const halves = crypt('encrypt', id, keyWrapParameters[algorithm], randomBytes(2.5 * SEMIBLOCK))
  const [said] = await cluster.batch([halves], signal)
  if (said.ok) throw new ResultWrong('it takes lengths that the algorithm does not have')
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
    `the key ${sibling} opens what it wraps: the same key twice, or the server does not look at the key`,
  )
}

/** A mode that gives something for a damaged value checks no integrity. */
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

/** With a flipped bit in the semiblock at `at`; by default in the last one. */
const damaged = (bytes: Uint8Array, at = bytes.length - SEMIBLOCK): Uint8Array =>
  bytes.map((byte, index) => (index === at + SEMIBLOCK - 1 ? byte ^ 1 : byte))

function assert(right: boolean, problem: string): void {
  if (!right) throw new ResultWrong(problem)
}

const forbidding: readonly string[] = ['KEY_NOT_FOUND', 'KEY_DISABLED', 'BACKEND_BUSY']

/** Says something of the key or of the moment, and nothing of what the server can do. */
export const isForbidden = (refusal: KmipRefusal): boolean => forbidding.includes(meaningOf(refusal, 'wrap'))

const equal = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0
