import { constants, publicEncrypt, type KeyObject } from 'node:crypto'
import type { Case } from '../case.ts'
import { capacity, encrypt, modulusBytes, publicKeyFrom, rsaAlgorithms, type RsaAlgorithm } from '../oaep.ts'
import { notApplicable, type Probe } from '../probe.ts'

async function publicKeyOf(probe: Probe): Promise<KeyObject> {
  const reply = await probe.call(`${probe.rsaKey}/metadata`)
  probe.served(reply)
  const { n, e } = reply.json ?? {}
  try {
    return publicKeyFrom(String(n), String(e))
  } catch {
    return notApplicable('metadata has no usable n and e; another case reports that')
  }
}

/**
 * Values as long as a wrapped one that cannot be unwrapped, by what is wrong with them (RFC 8017 section 7.1.2, steps 2
 * and 3).
 */
function undecodable(key: KeyObject, alg: RsaAlgorithm, dataKey: Buffer): Readonly<Record<string, Buffer>> {
  const hash = rsaAlgorithms[alg]
  const otherHash = hash === 'sha1' ? 'sha256' : 'sha1'
  const bytes = modulusBytes(key)
  // With a first byte of 1 or 0, a message without a separator would be a valid message.
  dataKey[0] = 0x5a
  return {
    'another OAEP hash': encrypt(key, otherHash, dataKey),
    'another hash in MGF1': encrypt(key, hash, dataKey, { mgfHash: otherHash }),
    'a label': encrypt(key, hash, dataKey, { label: 'label' }),
    'a first byte that is not 0': encrypt(key, hash, dataKey, { first: 1 }),
    'no separator': encrypt(key, hash, dataKey, { separator: 0 }),
    'another separator': encrypt(key, hash, dataKey, { separator: 2 }),
    'PKCS #1 v1.5': publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, dataKey),
    'the integer 0': Buffer.alloc(bytes),
    'the integer 1': Buffer.concat([Buffer.alloc(bytes - 1), Buffer.of(1)]),
    'an integer above n': Buffer.alloc(bytes, 0xff),
  }
}

function casesOf(alg: RsaAlgorithm): readonly Case[] {
  const group = alg.toLowerCase()
  const hash = rsaAlgorithms[alg]
  const clause = `Algorithms, ${alg}; RFC 8017 section 7.1`
  const common = { clause, severity: 'must', needs: ['rsa'] } as const
  return [
    {
      ...common,
      id: `${group}.round-trip`,
      title: 'a data key of 1 byte up to the maximum unwraps unchanged, and its wrapped value is exactly as long as n',
      run: async (probe) => {
        const key = await publicKeyOf(probe)
        for (const bytes of [1, 16, 32, capacity(key, hash)]) {
          const dataKey = probe.dataKey(bytes)
          const wrapped = await probe.wrap(probe.rsaKey, alg, dataKey)
          const value = probe.value(wrapped)
          probe.checkReply(wrapped, `a value of ${modulusBytes(key)} bytes`, value.length === modulusBytes(key))
          const unwrapped = await probe.unwrap(probe.rsaKey, alg, value)
          probe.checkReply(unwrapped, `the ${bytes} bytes that were wrapped`, probe.value(unwrapped).equals(dataKey))
        }
      },
    },
    {
      ...common,
      id: `${group}.wrapped-here`,
      title: "a data key that the suite itself wraps with the metadata's n and e unwraps unchanged",
      run: async (probe) => {
        const key = await publicKeyOf(probe)
        for (const bytes of [1, 32, capacity(key, hash)]) {
          const dataKey = probe.dataKey(bytes)
          const value = encrypt(key, hash, dataKey)
          const reply = await probe.unwrap(probe.rsaKey, alg, value, `alg ${alg}, ${bytes} bytes wrapped by the suite`)
          probe.checkReply(reply, `the ${bytes} bytes that were wrapped`, probe.value(reply).equals(dataKey))
        }
      },
    },
    {
      ...common,
      id: `${group}.random`,
      title: 'the same data key is wrapped into another value each time',
      run: async (probe) => {
        const dataKey = probe.dataKey(32)
        const first = probe.value(await probe.wrap(probe.rsaKey, alg, dataKey))
        const again = await probe.wrap(probe.rsaKey, alg, dataKey)
        probe.checkReply(again, 'another value than before', !probe.value(again).equals(first))
      },
    },
    {
      ...common,
      id: `${group}.data-key-length`,
      title: `a data key of more than k - ${hash === 'sha1' ? 42 : 66} bytes, k being the bytes of n, is 400`,
      run: async (probe) => {
        const key = await publicKeyOf(probe)
        for (const bytes of [capacity(key, hash) + 1, modulusBytes(key), modulusBytes(key) + 1, 1024]) {
          probe.refused(await probe.wrap(probe.rsaKey, alg, probe.dataKey(bytes)), 400, 'BadRequest')
        }
      },
    },
    {
      ...common,
      id: `${group}.empty`,
      severity: 'should',
      title: 'a data key of no bytes is 400',
      run: async (probe) => {
        probe.refused(await probe.wrap(probe.rsaKey, alg, ''), 400, 'BadRequest')
      },
    },
    {
      ...common,
      id: `${group}.wrapped-length`,
      title: 'a wrapped value that is not exactly as long as n is 400, even if it only has extra zeros',
      run: async (probe) => {
        const key = await publicKeyOf(probe)
        const wrapped = encrypt(key, hash, probe.dataKey(32))
        const zero = Buffer.of(0)
        const values = [Buffer.alloc(0), wrapped.subarray(1), wrapped.subarray(0, -1)]
        for (const value of [...values, Buffer.concat([zero, wrapped]), Buffer.concat([wrapped, zero])]) {
          probe.refused(await probe.unwrap(probe.rsaKey, alg, value), 400, 'BadRequest')
        }
      },
    },
    {
      ...common,
      id: `${group}.decoding`,
      title: 'a value that does not decode is 400: hash, MGF1 hash, label, first byte, separator, range, padding',
      run: async (probe) => {
        const values = undecodable(await publicKeyOf(probe), alg, probe.dataKey(32))
        for (const [what, value] of Object.entries(values)) {
          probe.refused(await probe.unwrap(probe.rsaKey, alg, value, `alg ${alg}, ${what}`), 400, 'BadRequest')
        }
      },
    },
    {
      ...common,
      id: `${group}.failures-alike`,
      clause: 'RFC 8017 section 7.1.2, note',
      title: 'a reply does not tell why a value does not decode: one status and body for every cause',
      run: async (probe) => {
        const key = await publicKeyOf(probe)
        let first: string | undefined
        for (const [what, value] of Object.entries(undecodable(key, alg, probe.dataKey(32)))) {
          const reply = await probe.unwrap(probe.rsaKey, alg, value, `alg ${alg}, ${what}`)
          const answer = `${reply.status} ${reply.text}`
          first ??= answer
          probe.checkReply(reply, first, answer === first)
        }
      },
    },
    {
      ...common,
      id: `${group}.integrity`,
      title: 'a wrapped value with one bit changed, anywhere, is 400',
      run: async (probe) => {
        const key = await publicKeyOf(probe)
        const wrapped = encrypt(key, hash, probe.dataKey(32))
        // The step shares no factor with 8, so it reaches each of a byte's bits.
        for (let bit = 0; bit < wrapped.length * 8; bit += 251) {
          const corrupt = Buffer.from(wrapped)
          corrupt[bit >> 3] = (corrupt[bit >> 3] ?? 0) ^ (1 << (bit & 7))
          const note = `alg ${alg}, a wrapped value with bit ${bit} changed`
          probe.refused(await probe.unwrap(probe.rsaKey, alg, corrupt, note), 400, 'BadRequest')
        }
      },
    },
  ]
}

export const rsaCases: readonly Case[] = [...casesOf('RSA-OAEP'), ...casesOf('RSA-OAEP-256')]
