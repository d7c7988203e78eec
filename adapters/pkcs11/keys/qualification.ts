import { randomBytes } from 'node:crypto'
import { AdapterError, algorithmRow, type WrapAlgorithm } from '../../contract/index.ts'
import { ckrName, ckrRow } from '../cryptoki/ckr-table.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import {
  candidateWays,
  referenceWays,
  wayName,
  type Direction,
  type Mechanisms,
  type Scheme,
  type Way,
} from '../cryptoki/way.ts'
import { encodeSiblingSelector } from '../names/key-selector.ts'
import {
  localOracle,
  longLengths,
  oaepOracle,
  samples,
  SHORT_BYTES,
  shortLengths,
  type KnownAnswer,
  type Oracle,
} from './known-answers.ts'
import { allows, type TokenKey } from './token-key.ts'
import { check, checkAccess, refusesDamaged, witnessOf, WrongAnswer } from './way-check.ts'
import type { Crypt } from './witness.ts'

/** A rejected way. It is `doubtful` if something other than the way may have been the cause. */
interface Rejection {
  readonly way: Way
  readonly reason: string
  readonly doubtful: boolean
}

/** How one algorithm is done with one key, and why. */
export interface Qualification {
  readonly key: string
  readonly algorithm: WrapAlgorithm
  /** Undefined if no way is right; the algorithm is then not served with this key. */
  readonly way?: Way
  /** The longest value in bytes that the way carries, if that is less than the algorithm allows. */
  readonly maxBytes?: number
  /**
   * What the answers were compared with: a computation with single AES blocks (or OAEP with the public key) of the key
   * itself; or, for a key that may not give single blocks, a session key of known value beside it.
   */
  readonly evidence?: 'same key' | 'sibling key'
  readonly rejected: readonly Rejection[]
  /**
   * True if a way was rejected because the module crashed, did not return in time, or gave an error without a cause.
   * The way may not have been the cause. If no way is left, it is not known whether the token can do the algorithm.
   */
  readonly doubtful: boolean
}

const schemeOf: Record<WrapAlgorithm, Scheme> = {
  A256KW: 'KW',
  A256KWP: 'KWP',
  'RSA-OAEP': 'SHA-1',
  'RSA-OAEP-256': 'SHA-256',
}

/** A key that this process knows, for checking mechanisms. It protects nothing. */
const siblingKey = randomBytes(32)
const siblingSelector = encodeSiblingSelector(siblingKey)

/** Lengths that must pass, and lengths of which the first that passes is the limit. */
interface Lengths {
  readonly short: readonly number[]
  readonly long: readonly number[]
}

interface Evidence {
  readonly kind: 'same key' | 'sibling key'
  readonly oracle: Oracle
  readonly answers: readonly KnownAnswer[]
}

/**
 * Finds the first way in which the token does `algorithm` right with `key`. It rejects only if the token cannot be
 * asked.
 *
 * @param onShort called with a way that is right for values of up to {@link SHORT_BYTES}, before its limit is known;
 *   finding the limit takes much longer on a slow token, and begins when `onShort` resolves
 */
export async function qualify(
  key: TokenKey,
  algorithm: WrapAlgorithm,
  mechanisms: Mechanisms,
  crypt: Crypt,
  onShort: (soFar: Qualification) => void | Promise<void> = () => undefined,
): Promise<Qualification> {
  const scheme = schemeOf[algorithm]
  const rejected: Rejection[] = []
  let doubtful = false
  const reject = (way: Way, error: unknown): void => {
    if (!(error instanceof WrongAnswer) && !blamesWay(error)) throw error
    rejected.push({ way, reason: reasonOf(error), doubtful: isDoubtful(error) })
    doubtful ||= isDoubtful(error)
  }
  const lengths = lengthsOf(key, algorithm)
  const { kind: evidence, oracle, answers } = await evidenceFor(key, scheme, lengths.short, mechanisms, crypt, reject)
  const [selector, directions] =
    evidence === 'sibling key'
      ? ([siblingSelector, ['wrap', 'unwrap']] as const)
      : ([key.selector, directionsOf(key, scheme)] as const)
  for (const way of candidateWays(scheme, mechanisms)) {
    const checkAll = (some: readonly KnownAnswer[]) => check(crypt, selector, way, directions, some)
    try {
      await checkAll(answers)
      await refusesDamaged(crypt, selector, way, directions, answers)
      if (evidence === 'sibling key') await checkAccess(crypt, key, way, witnessOf(selector, way, answers))
      const found = { key: key.ref, algorithm, way, evidence, rejected }
      // Block by block, a value may have any length.
      if (way.path === 'blocks') return { ...found, doubtful }
      await onShort({ ...found, maxBytes: SHORT_BYTES, doubtful })
      const longest = await longestOf(lengths.long, oracle, checkAll)
      doubtful ||= longest.doubtful
      const isLess = longest.bytes !== lengths.long[0]
      return { ...found, ...(isLess && { maxBytes: longest.bytes }), doubtful }
    } catch (error) {
      reject(way, error)
    }
  }
  return { key: key.ref, algorithm, rejected, doubtful }
}

/** The rejected ways and the reasons in one line, for the operator. */
export const rejections = ({ rejected }: Qualification): string =>
  rejected.map(({ way, reason }) => `${wayName(way)}: ${reason}`).join('; ')

/** True if it is known neither that the token can do it nor that it cannot. */
export const isUndecided = ({ way, doubtful }: Qualification): boolean => way === undefined && doubtful

/** The token is healthy and would give the same answer again. */
const blamesWay = (error: unknown) =>
  error instanceof TokenError
    ? error.blame !== 'token' && error.code !== 'BACKEND_BUSY'
    : error instanceof AdapterError && error.code === 'ALGORITHM_UNSUPPORTED'

/** Whether `way` was found to be wrong, and did not just fail. */
export const isRefuted = ({ rejected }: Qualification, way: Way): boolean =>
  rejected.some((rejection) => !rejection.doubtful && wayName(rejection.way) === wayName(way))

/**
 * The error proves nothing about the way: a crash, a timeout, an error without a cause. Only for a damaged value such
 * an error means that the value is damaged; no right value is. SoftHSM 2.6.1 fails while another process logs in.
 */
const isDoubtful = (error: unknown) =>
  error instanceof TokenError &&
  (error.code === 'BACKEND_UNAVAILABLE' || (error.detail !== undefined && ckrRow(error.detail).session === 'ask'))

/** Callers do not learn which answer a token gave to a value that does not unwrap. Operators do. */
function reasonOf(error: unknown): string {
  if (error instanceof TokenError && error.code === 'CIPHERTEXT_INVALID' && error.detail !== undefined) {
    return `the token answered ${ckrName(error.detail)} to a right value`
  }
  return error instanceof Error ? error.message : 'unknown'
}

function lengthsOf({ description }: TokenKey, algorithm: WrapAlgorithm): Lengths {
  const scheme = schemeOf[algorithm]
  if (scheme === 'KW' || scheme === 'KWP') return { short: shortLengths[scheme], long: longLengths }
  const capacity = algorithmRow(algorithm).plaintext(description.bits).max
  return { short: [1, 20, 32], long: [capacity, ...[256, 128, SHORT_BYTES].filter((bytes) => bytes < capacity)] }
}

/** The first length that the way carries. A refused length is no argument against a shorter one; a wrong answer is. */
async function longestOf(
  long: readonly number[],
  oracle: Oracle,
  checkAll: (answers: readonly KnownAnswer[]) => Promise<void>,
): Promise<{ readonly bytes: number; readonly doubtful: boolean }> {
  let doubtful = false
  for (const bytes of long) {
    try {
      await checkAll(await oracle([bytes]))
      return { bytes, doubtful }
    } catch (error) {
      if (!blamesWay(error)) throw error
      doubtful ||= isDoubtful(error)
    }
  }
  return { bytes: SHORT_BYTES, doubtful }
}

const directionsOf = ({ facts }: TokenKey, scheme: Scheme): Direction[] =>
  scheme === 'KW' || scheme === 'KWP'
    ? (['wrap', 'unwrap'] as const).filter((direction) => allows(facts, direction))
    : ['unwrap']

async function evidenceFor(
  key: TokenKey,
  scheme: Scheme,
  short: readonly number[],
  mechanisms: Mechanisms,
  crypt: Crypt,
  reject: (way: Way, error: unknown) => void,
): Promise<Evidence> {
  const by = async (kind: Evidence['kind'], oracle: Oracle) => ({ kind, oracle, answers: await oracle(short) })
  if (scheme !== 'KW' && scheme !== 'KWP') {
    if (key.description.kty !== 'RSA') throw new AdapterError('ALGORITHM_UNSUPPORTED', `${key.ref} is no RSA key`)
    return by('same key', oaepOracle(key.description, scheme))
  }
  if (key.facts.encrypt !== false) {
    for (const way of referenceWays(scheme, mechanisms)) {
      try {
        return await by('same key', blocksOracle(crypt, key.selector, way))
      } catch (error) {
        reject(way, error)
      }
    }
  }
  return by('sibling key', localOracle(siblingKey, scheme))
}

/** RFC 3394 or RFC 5649 with single blocks of the key itself. The samples share the calls. */
const blocksOracle =
  (crypt: Crypt, selector: string, way: Way): Oracle =>
  async (sizes) =>
    Promise.all(
      samples(sizes).map(async (plaintext) => ({ plaintext, wrapped: await crypt(selector, way, 'wrap', plaintext) })),
    )
