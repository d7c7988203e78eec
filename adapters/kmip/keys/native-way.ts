import {
  algorithmRow,
  lengthFits,
  type CallSignal,
  type KeyDescription,
  type WrapAlgorithm,
} from '../../contract/index.ts'
import { isRepresentative, oaepWrap, rsaPublicKey, type KeyWrapMode, type OaepHash } from '../../key-wrap/index.ts'
import { invalidCiphertext, refusalError, ResultWrong } from '../errors.ts'
import { crypt, keyWrap, oaep } from '../protocol/crypt.ts'
import type { KmipOperation, KmipRefusal } from '../protocol/operation.ts'
import type { Requests } from '../transport/requests.ts'
import type { Way } from './way.ts'

/** A wrapped value and what it must unwrap to. It was made for this and protects nothing. */
export interface KnownAnswer {
  readonly plaintext: Uint8Array
  readonly wrapped: Uint8Array
}

/** Cosmian's server takes data that begins with these two bytes for a list of values, and answers something else. */
const looksLikeList = (data: Uint8Array) => data[0] === 0x87 && data[1] === 0x87

/** Zeroes the result and throws if its length is not one of this algorithm. Nobody knows what such a result is. */
function assertLength(result: Uint8Array, fits: boolean): void {
  if (fits) return
  result.fill(0)
  throw new ResultWrong('the server answered with a value of the wrong length')
}

/** A list is answered with a list, which begins with the same two bytes. */
const assertNoList = (data: Uint8Array, result: Uint8Array): void =>
  assertLength(result, !(looksLikeList(data) && looksLikeList(result)))

const AES_BITS = 256
export const keyWrapMode = { A256KW: 'KW', A256KWP: 'KWP' } as const satisfies Record<string, KeyWrapMode>
export const keyWrapParameters = { A256KW: keyWrap('NISTKeyWrap'), A256KWP: keyWrap('AESKeyWrapPadding') }

/**
 * The server's own key wrap mode: one round trip.
 *
 * @param composed is used for values that this server would misread. Without it, such a value is wrapped with care or
 *   refused
 * @param answer the known answer for {@link Way.unwrapAgain}
 */
export function nativeKeyWrap(
  cluster: Requests,
  id: string,
  algorithm: 'A256KW' | 'A256KWP',
  composed: Way | undefined,
  answer: KnownAnswer | undefined,
): Way {
  const row = algorithmRow(algorithm)
  const encrypt = (plaintext: Uint8Array) => crypt('encrypt', id, keyWrapParameters[algorithm], plaintext)
  const decrypt = (ciphertext: Uint8Array) => crypt('decrypt', id, keyWrapParameters[algorithm], ciphertext)
  const checked = (ciphertext: Uint8Array, plaintext: Uint8Array) => {
    assertLength(plaintext, lengthFits(row.unwrapped(ciphertext.length, AES_BITS), plaintext.length))
    assertNoList(ciphertext, plaintext)
    return plaintext
  }
  const unwrap = async (ciphertext: Uint8Array, signal: CallSignal) => {
    // RFC 3394 has at least three semiblocks, RFC 5649 at least two.
    if (ciphertext.length % 8 !== 0 || ciphertext.length < (algorithm === 'A256KW' ? 24 : 16)) throw invalidCiphertext()
    if (composed !== undefined && looksLikeList(ciphertext)) return composed.unwrap(ciphertext, signal)
    return checked(ciphertext, await cluster.call(decrypt(ciphertext), signal))
  }
  return {
    kind: 'native',
    wrap: async (plaintext, signal) => {
      if (composed !== undefined && looksLikeList(plaintext)) return composed.wrap(plaintext, signal)
      const wrapped = await cluster.call(encrypt(plaintext), signal)
      assertLength(wrapped, wrapped.length === row.wrappedBytes(plaintext.length, AES_BITS))
      assertNoList(plaintext, wrapped)
      // A wrapped value that the server would misread when it unwraps it must not be returned.
      if (composed === undefined && looksLikeList(wrapped)) assertSame(await unwrap(wrapped, signal), plaintext)
      return wrapped
    },
    unwrap,
    unwrapAgain: async (ciphertext, refusal, signal) =>
      checked(ciphertext, await decryptBesideAnswer(cluster, decrypt, ciphertext, answer, refusal, signal)),
  }
}

function assertSame(again: Uint8Array, plaintext: Uint8Array): void {
  const same = Buffer.compare(again, plaintext) === 0
  again.fill(0)
  if (!same) throw new ResultWrong('the server unwraps its own value to other bytes')
}

/** OAEP: wrapped here from the public key, unwrapped on the server. */
export function nativeOaep(
  cluster: Requests,
  id: string,
  algorithm: WrapAlgorithm,
  { bits, n, e }: Extract<KeyDescription, { kty: 'RSA' }>,
  answer: KnownAnswer | undefined,
): Way {
  const row = algorithmRow(algorithm)
  const hash: OaepHash = row.hash ?? 'SHA-256'
  const publicKey = rsaPublicKey(n, e)
  const decrypt = (ciphertext: Uint8Array) => crypt('decrypt', id, oaep(hash), ciphertext)
  const checked = (ciphertext: Uint8Array, plaintext: Uint8Array) => {
    // OAEP can carry an empty message, but a data key has at least one byte.
    if (plaintext.length === 0) throw invalidCiphertext()
    assertLength(plaintext, lengthFits(row.unwrapped(ciphertext.length, bits), plaintext.length))
    assertNoList(ciphertext, plaintext)
    return plaintext
  }
  return {
    kind: 'native',
    wrap: async (plaintext) => {
      for (;;) {
        const wrapped = oaepWrap(publicKey, hash, plaintext)
        if (!looksLikeList(wrapped)) return wrapped
      }
    },
    unwrap: async (ciphertext, signal) => {
      if (!isRepresentative(ciphertext, n)) throw invalidCiphertext()
      return checked(ciphertext, await cluster.call(decrypt(ciphertext), signal))
    },
    unwrapAgain: async (ciphertext, refusal, signal) =>
      checked(ciphertext, await decryptBesideAnswer(cluster, decrypt, ciphertext, answer, refusal, signal)),
  }
}

async function decryptBesideAnswer(
  cluster: Requests,
  decrypt: (ciphertext: Uint8Array) => KmipOperation<Uint8Array>,
  ciphertext: Uint8Array,
  answer: KnownAnswer | undefined,
  refusal: KmipRefusal,
  signal: CallSignal,
): Promise<Uint8Array> {
  if (answer === undefined) throw refusalError(refusal, 'BACKEND_UNAVAILABLE')
  const [known, again] = await cluster.batch([decrypt(answer.wrapped), decrypt(ciphertext)], signal)
  if (again.ok) return again.value
  if (known.ok && Buffer.compare(known.value, answer.plaintext) === 0) throw invalidCiphertext()
  throw refusalError(refusal, 'BACKEND_UNAVAILABLE')
}
