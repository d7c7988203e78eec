import { createHash, randomBytes } from 'node:crypto'
import { badRequest, Refusal, right, type Behaviour, type Work } from './behaviour.ts'
import {
  decodeOaep,
  encryptOaep,
  ICV,
  rsaHashes,
  unwrapAes,
  unwrapUnchecked,
  wrapAes,
  type AesMode,
  type OaepLeniency,
  type RsaAlgorithm,
} from './crypto.ts'
import { mutation, type Mutation } from './mutation.ts'

const { algorithm, takes, takesWrapped, unwrap, wrap } = right
const every = (group: string, ...rules: string[]) => rules.map((rule) => `${group}.${rule}`)
const bug = () => new Refusal(500, 'InternalServerError')
/** A deviation for one algorithm only. */
const only = (alg: string, change: Partial<Behaviour>): Partial<Behaviour> => {
  const behaviourFor = (work: Work): Behaviour => (work.alg === alg ? { ...right, ...change } : right)
  return {
    takes: (work) => behaviourFor(work).takes(work),
    takesWrapped: (work) => behaviourFor(work).takesWrapped(work),
    wrap: (work, kek) => behaviourFor(work).wrap(work, kek),
    unwrap: (work, kek) => behaviourFor(work).unwrap(work, kek),
    unwrapped: (bytes, work) => behaviourFor(work).unwrapped(bytes, work),
    cannotUnwrap: (error, work) => behaviourFor(work).cannotUnwrap(error, work),
  }
}

const upToEight = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)])
const downToEight = (bytes: Buffer) => bytes.subarray(0, bytes.length - (bytes.length % 8))

/** Wraps each data key under one check value first, and under the other next. */
const undecided = (alg: AesMode): Partial<Behaviour> => {
  const wrapped = new Set<string>()
  const other = alg === 'A256KW' ? Buffer.alloc(8, 0xb6) : Buffer.from('b65959b6', 'hex')
  return only(alg, {
    wrap: ({ bytes }, kek) => {
      const before = wrapped.has(bytes.toString('hex'))
      wrapped.add(bytes.toString('hex'))
      return wrapAes(kek, alg, bytes, before ? other : ICV[alg])
    },
    unwrap: ({ bytes }, kek) => {
      try {
        return unwrapAes(kek, alg, bytes)
      } catch {
        return unwrapAes(kek, alg, bytes, other)
      }
    },
  })
}

const asBytes = (work: Work, bytes: Buffer): Work => ({ ...work, bytes })
const INTEGRITY = ['key-wrap.modes-differ', 'key-wrap.failures-alike']

// Not formatted: one wrong proxy a line, to be read by columns.
export const algorithmMutations: readonly Mutation[] = [
  mutation('takes an unknown algorithm for A256KW', { algorithm: (name, key) => (key.kty === 'oct' && !name.startsWith('RSA-OAEP') && name !== 'A256KWP' ? 'A256KW' : name) }, ['alg.unknown', 'alg.case']),
  mutation('ignores the case of an algorithm', { algorithm: (name) => name.toUpperCase() }, ['alg.case']),
  mutation('stumbles over an unknown algorithm', { unknownAlgorithm: bug }, ['alg.unknown', 'alg.case', 'alg.mismatch-aes', 'alg.mismatch-rsa', 'error.no-bug']),
  mutation('wraps by A256KW whatever RSA algorithm was asked for', { algorithm: (name, key) => (key.kty === 'oct' && ['RSA-OAEP', 'RSA-OAEP-256'].includes(name) ? 'A256KW' : name) }, ['alg.mismatch-aes']),
  mutation('wraps by RSA-OAEP whatever AES algorithm was asked for', { algorithm: (name, key) => (key.kty === 'RSA' && name.startsWith('A256KW') ? 'RSA-OAEP' : algorithm(name, key)) }, ['alg.mismatch-rsa']),
] /* prettier-ignore */ // one case a line

// Not formatted: one wrong proxy a line, to be read by columns.
export const keyWrapMutations: readonly Mutation[] = [
  mutation('zero-extends a data key for A256KW', only('A256KW', { takes: ({ bytes }) => bytes.length > 8, wrap: (work, kek) => wrap(asBytes(work, upToEight(work.bytes)), kek) }), ['a256kw.data-key-lengths']),
  mutation('takes 40 bytes at most', { takes: (work) => takes(work) && (work.key.kty === 'RSA' || work.bytes.length <= 40) }, ['encoding.base64url', 'a256kw.round-trip', 'a256kwp.round-trip']),
  mutation('zero-extends KWP', only('A256KWP', { unwrapped: upToEight }), ['a256kwp.round-trip', 'a256kwp.short']),
  mutation('refuses KWP below 8 bytes', only('A256KWP', { takes: ({ bytes }) => bytes.length >= 8 }), ['a256kwp.short']),
  mutation('wraps nothing under KWP', only('A256KWP', { takes: () => true, wrap: (work, kek) => (work.bytes.length === 0 ? Buffer.alloc(16) : wrap(work, kek)) }), ['a256kwp.data-key-lengths']),
  mutation('wraps otherwise each time, A256KW', () => undecided('A256KW'), ['a256kw.deterministic']),
  mutation('wraps otherwise each time, A256KWP', () => undecided('A256KWP'), ['a256kwp.deterministic']),
  mutation('cuts a wrapped value to blocks, A256KW', only('A256KW', { takesWrapped: ({ bytes }) => bytes.length >= 24, unwrap: (work, kek) => unwrap(asBytes(work, downToEight(work.bytes)), kek) }), ['a256kw.wrapped-lengths']),
  mutation('cuts a wrapped value to blocks, A256KWP', only('A256KWP', { takesWrapped: ({ bytes }) => bytes.length >= 16, unwrap: (work, kek) => unwrap(asBytes(work, downToEight(work.bytes)), kek) }), ['a256kwp.wrapped-lengths']),
  mutation('does not check A256KW', only('A256KW', { unwrap: ({ bytes }, kek) => unwrapUnchecked(kek, bytes).data }), ['a256kw.integrity', 'key-wrap.keys-differ', ...INTEGRITY]),
  mutation('does not check A256KWP', only('A256KWP', {
    unwrap: ({ bytes }, kek) => {
      const { icv, data } = unwrapUnchecked(kek, bytes)
      const length = icv.readUInt32BE(4)
      return data.subarray(0, length > 0 && length <= data.length ? length : data.length)
    },
  }), ['a256kwp.integrity', ...INTEGRITY]),
  mutation('wraps whole blocks by A256KW under either name', only('A256KWP', {
    wrap: (work, kek) => (takes({ ...work, alg: 'A256KW' }) ? wrapAes(kek, 'A256KW', work.bytes) : wrap(work, kek)),
    unwrap: (work, kek) => {
      try {
        return unwrapAes(kek, 'A256KW', work.bytes)
      } catch {
        return unwrap(work, kek)
      }
    },
  }), ['key-wrap.modes-differ', 'key-wrap.failures-alike']),
  mutation('has one key for all names', (() => { const kek = randomBytes(32); return { kekOf: () => kek } })(), ['key-wrap.keys-differ']),
  mutation('leaks the cause of an unwrap failure', { cannotUnwrap: (_error, { key, bytes }) => badRequest(key.kty === 'oct' ? `the check value is ${unwrapUnchecked(key.kek, bytes).icv.toString('hex')}` : 'value cannot be unwrapped') }, ['key-wrap.failures-alike']),
  mutation('calls what cannot be unwrapped a bug', { cannotUnwrap: bug }, [
    'a256kw.integrity', 'a256kwp.integrity', 'key-wrap.modes-differ', 'key-wrap.keys-differ',
    ...['rsa-oaep', 'rsa-oaep-256'].flatMap((group) => every(group, 'decoding', 'integrity')), 'error.no-bug',
  ]),
] /* prettier-ignore */ // one case a line

// Not formatted: one wrong proxy a line, to be read by columns.
const rsaMutations = (alg: RsaAlgorithm): readonly Mutation[] => {
  const group = alg.toLowerCase()
  const hash = rsaHashes[alg]
  const otherHash = hash === 'sha1' ? 'sha256' : 'sha1'
  const lenient =
    (leniency: Partial<OaepLeniency>): Behaviour['unwrap'] =>
    ({ key, bytes }) => {
      if (key.kty !== 'RSA') throw new Error('not RSA')
      return decodeOaep(key.privateKey, bytes, { hash, mgfHash: hash, ...leniency })
    }
  const wrapBy =
    (mgfHash: 'sha1' | 'sha256'): Behaviour['wrap'] =>
    ({ key, bytes }) => {
      if (key.kty !== 'RSA') throw new Error('not RSA')
      return encryptOaep(key.publicKey, bytes, hash, mgfHash)
    }
  const decoding = every(group, 'decoding', 'failures-alike')
  const sameEachTime = new Map<string, Buffer>()
  const mutate = (name: string, change: Partial<Behaviour>, caughtBy: readonly string[]) =>
    mutation(`${name}, ${alg}`, only(alg, change), caughtBy)
  return [
    mutate('has the wrong MGF hash', { wrap: wrapBy(otherHash), unwrap: lenient({ mgfHash: otherHash }) }, [
      `${group}.wrapped-here`,
      ...decoding,
    ]),
    mutate('wraps with the wrong MGF hash', { wrap: wrapBy(otherHash) }, [`${group}.round-trip`]),
    mutate('ignores the first byte', { unwrap: lenient({ anyFirstByte: true }) }, decoding),
    mutate('ignores the label', { unwrap: lenient({ anyLabel: true }) }, decoding),
    mutate('takes any separator', { unwrap: lenient({ anySeparator: true }) }, decoding),
    mutate(
      'tells padding errors apart',
      { unwrap: lenient({}), cannotUnwrap: (error) => badRequest(error instanceof Error ? error.message : '') },
      [`${group}.failures-alike`],
    ),
    mutate(
      'answers noise instead of an error',
      {
        unwrap: (work, kek) => {
          try {
            return unwrap(work, kek)
          } catch {
            return createHash('sha256').update(work.bytes).digest()
          }
        },
      },
      [`${group}.integrity`, ...decoding],
    ),
    mutate(
      'puts a zero before the value',
      {
        wrap: (work, kek) => Buffer.concat([Buffer.of(0), wrap(work, kek)]),
        takesWrapped: (work) => takesWrapped(work) || work.bytes.length === 257,
        unwrap: (work, kek) => unwrap(asBytes(work, work.bytes.subarray(-256)), kek),
      },
      every(group, 'round-trip', 'wrapped-length'),
    ),
    mutate(
      'adds the zeros that a value lacks',
      {
        takesWrapped: ({ bytes }) => bytes.length <= 257,
        unwrap: (work, kek) =>
          unwrap(asBytes(work, Buffer.concat([Buffer.alloc(256), work.bytes]).subarray(-256)), kek),
      },
      every(group, 'wrapped-length'),
    ),
    mutate(
      'wraps into the same value each time',
      {
        wrap: (work, kek) => {
          const id = work.bytes.toString('hex')
          const value = sameEachTime.get(id) ?? wrap(work, kek)
          sameEachTime.set(id, value)
          return value
        },
      },
      [`${group}.random`],
    ),
    mutate(
      'cuts a data key that is too long',
      {
        takes: ({ bytes }) => bytes.length > 0,
        wrap: (work, kek) => wrap(asBytes(work, work.bytes.subarray(0, hash === 'sha1' ? 214 : 190)), kek),
      },
      [`${group}.data-key-length`],
    ),
    mutate('wraps nothing', { takes: (work) => work.bytes.length === 0 || takes(work) }, [`${group}.empty`]),
  ]
}

export const oaepMutations: readonly Mutation[] = [...rsaMutations('RSA-OAEP'), ...rsaMutations('RSA-OAEP-256')]

// Not formatted: one wrong proxy a line, to be read by columns.
export const disabledMutations: readonly Mutation[] = [
  mutation('wraps with a disabled key', { disabledRefusal: (operation) => (operation === 'wrapkey' ? undefined : new Refusal(403, 'KeyDisabled')) }, ['disabled.wrapkey']),
  mutation('unwraps with a disabled key', { disabledRefusal: (operation) => (operation === 'unwrapkey' ? undefined : new Refusal(403, 'KeyDisabled')) }, ['disabled.unwrapkey']),
  mutation('has metadata of a disabled key', { disabledRefusal: (operation) => (operation === 'metadata' ? undefined : new Refusal(403, 'KeyDisabled')) }, ['disabled.metadata', 'disabled.code']),
  mutation('calls a disabled key forbidden', { disabledRefusal: () => new Refusal(403, 'Forbidden') }, ['disabled.code']),
  mutation('calls a disabled key unknown', { disabledRefusal: () => new Refusal(404, 'KeyNotFound') }, every('disabled', 'wrapkey', 'unwrapkey', 'metadata', 'code')),
] /* prettier-ignore */ // one case a line
