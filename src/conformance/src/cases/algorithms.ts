import type { Case } from '../case.ts'

const clause = 'Bodies, alg'

const mismatch = (key: 'aes' | 'rsa', algorithms: readonly string[]): Case => ({
  id: `alg.mismatch-${key}`,
  clause: 'Errors, BadRequest',
  severity: 'must',
  title: `${algorithms.join(' and ')} under an ${key.toUpperCase()} key are 400`,
  needs: [key],
  run: async (probe) => {
    const name = key === 'aes' ? probe.aesKey : probe.rsaKey
    for (const alg of algorithms) {
      probe.refused(await probe.wrap(name, alg, probe.dataKey(32)), 400, 'BadRequest')
      // The lengths of wrapped values under keys of both types.
      for (const bytes of [40, 256, 384, 512]) {
        probe.refused(await probe.unwrap(name, alg, Buffer.alloc(bytes, 1)), 400, 'BadRequest')
      }
    }
  },
})

export const algorithmCases: readonly Case[] = [
  {
    id: 'alg.unknown',
    clause,
    severity: 'must',
    title: 'an algorithm that the API does not have is 400',
    needs: ['aes'],
    run: async (probe) => {
      for (const alg of ['A128KW', 'A256GCMKW', 'dir', 'RSA1_5', 'RSA-OAEP-512', '', ' ', 'constructor', '__proto__']) {
        probe.refused(await probe.wrap(probe.aesKey, alg, probe.dataKey(32)), 400, 'BadRequest')
        probe.refused(await probe.unwrap(probe.aesKey, alg, Buffer.alloc(40, 1)), 400, 'BadRequest')
      }
    },
  },
  {
    id: 'alg.case',
    clause,
    severity: 'must',
    title: 'the name of an algorithm is case-sensitive',
    needs: ['aes'],
    run: async (probe) => {
      for (const alg of ['a256kw', 'A256kw', 'A256KWp']) {
        probe.refused(await probe.wrap(probe.aesKey, alg, probe.dataKey(32)), 400, 'BadRequest')
      }
    },
  },
  mismatch('aes', ['RSA-OAEP', 'RSA-OAEP-256']),
  mismatch('rsa', ['A256KW', 'A256KWP']),
]
