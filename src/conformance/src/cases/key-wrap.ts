import type { Case } from '../case.ts'
import type { Probe } from '../probe.ts'

interface Mode {
  readonly alg: 'A256KW' | 'A256KWP'
  readonly clause: string
  /** Allowed lengths of data keys in bytes. */
  readonly legal: readonly number[]
  readonly illegal: readonly number[]
  readonly wrappedBytes: (dataKeyBytes: number) => number
}

const range = (from: number, to: number, step = 1) =>
  Array.from({ length: (to - from) / step + 1 }, (_, index) => from + index * step)

const keyWrap: Mode = {
  alg: 'A256KW',
  clause: 'Algorithms, A256KW; RFC 3394',
  legal: [...range(16, 72, 8), 128, 256, 512],
  illegal: [1, 7, 8, 9, 15, 17, 20, 23, 25, 31, 33],
  wrappedBytes: (bytes) => bytes + 8,
}

const keyWrapWithPadding: Mode = {
  alg: 'A256KWP',
  clause: 'Algorithms, A256KWP; RFC 5649',
  legal: [...range(9, 72), 127, 128, 129, 512],
  illegal: [0],
  wrappedBytes: (bytes) => Math.ceil(bytes / 8) * 8 + 8,
}

/** Lengths in bytes that a wrapped value cannot have in either mode: not a multiple of 8, or too short. */
const unwrappable = { A256KW: [0, 1, 7, 8, 15, 16, 23, 25, 39, 41], A256KWP: [0, 1, 7, 8, 15, 17, 23, 25, 39, 41] }

const roundTrip = (alg: string, lengths: readonly number[], wrappedBytes: Mode['wrappedBytes']) => (probe: Probe) =>
  probe.each(lengths, async (bytes) => {
    const dataKey = probe.dataKey(bytes)
    const wrapped = await probe.wrap(probe.aesKey, alg, dataKey)
    const value = probe.value(wrapped)
    const expected = wrappedBytes(bytes)
    probe.checkReply(wrapped, `a value of ${expected} bytes`, value.length === expected)
    const unwrapped = await probe.unwrap(probe.aesKey, alg, value)
    const back = probe.value(unwrapped)
    const what = `${unwrapped.sent}, wrapped from ${bytes} bytes`
    probe.check({ sent: what, expected: `${bytes} bytes`, came: `${back.length} bytes` }, back.length === bytes)
    probe.check({ sent: what, expected: 'the same bytes', came: 'others' }, back.equals(dataKey))
  })

const casesOf = ({ alg, clause, legal, illegal, wrappedBytes }: Mode): readonly Case[] => [
  {
    id: `${alg.toLowerCase()}.round-trip`,
    clause,
    severity: 'must',
    title: `a data key of ${legal[0]} to ${legal.at(-1)} bytes unwraps unchanged, and its wrapped value has the right length`,
    needs: ['aes'],
    run: roundTrip(alg, legal, wrappedBytes),
  },
  {
    id: `${alg.toLowerCase()}.deterministic`,
    clause,
    severity: 'must',
    title: 'the same data key is wrapped into the same value each time',
    needs: ['aes'],
    run: async (probe) => {
      const dataKey = probe.dataKey(32)
      const first = probe.value(await probe.wrap(probe.aesKey, alg, dataKey))
      const again = await probe.wrap(probe.aesKey, alg, dataKey)
      probe.checkReply(again, 'the same value as before', probe.value(again).equals(first))
    },
  },
  {
    id: `${alg.toLowerCase()}.data-key-lengths`,
    clause,
    severity: 'must',
    title:
      alg === 'A256KW'
        ? 'a data key that is shorter than 16 bytes or not a multiple of 8 is 400'
        : 'a data key of no bytes is 400',
    needs: ['aes'],
    run: async (probe) => {
      for (const bytes of illegal) {
        probe.refused(await probe.wrap(probe.aesKey, alg, probe.dataKey(bytes)), 400, 'BadRequest')
      }
    },
  },
  {
    id: `${alg.toLowerCase()}.wrapped-lengths`,
    clause,
    severity: 'must',
    title: 'a wrapped value of an impossible length is 400',
    needs: ['aes'],
    run: async (probe) => {
      for (const bytes of unwrappable[alg]) {
        probe.refused(await probe.unwrap(probe.aesKey, alg, Buffer.alloc(bytes, 0x5a)), 400, 'BadRequest')
      }
      const wrapped = probe.value(await probe.wrap(probe.aesKey, alg, probe.dataKey(32)))
      for (const bytes of [1, 4, 7]) {
        const value = Buffer.concat([wrapped, Buffer.alloc(bytes)])
        probe.refused(await probe.unwrap(probe.aesKey, alg, value), 400, 'BadRequest')
      }
    },
  },
  {
    id: `${alg.toLowerCase()}.integrity`,
    clause,
    severity: 'must',
    title: 'a wrapped value with any one bit changed, or of which a part is missing, is 400',
    needs: ['aes'],
    run: async (probe) => {
      const wrapped = probe.value(await probe.wrap(probe.aesKey, alg, probe.dataKey(16)))
      await probe.each(range(0, wrapped.length * 8 - 1), async (bit) => {
        const corrupt = Buffer.from(wrapped)
        corrupt[bit >> 3] = (corrupt[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const note = `alg ${alg}, a wrapped value with bit ${bit} changed`
        probe.refused(await probe.unwrap(probe.aesKey, alg, corrupt, note), 400, 'BadRequest')
      })
      for (const part of [wrapped.subarray(8), wrapped.subarray(0, -8), Buffer.concat([wrapped, Buffer.alloc(8)])]) {
        probe.refused(await probe.unwrap(probe.aesKey, alg, part), 400, 'BadRequest')
      }
    },
  },
]

export const keyWrapCases: readonly Case[] = [
  ...casesOf(keyWrap),
  ...casesOf(keyWrapWithPadding),
  {
    id: 'a256kwp.short',
    clause: keyWrapWithPadding.clause,
    severity: 'must',
    title: 'a data key of 1 to 8 bytes is wrapped into 16 bytes and unwraps unchanged',
    needs: ['aes'],
    run: roundTrip('A256KWP', range(1, 8), () => 16),
  },
  {
    id: 'key-wrap.modes-differ',
    clause: 'Algorithms, A256KW and A256KWP',
    severity: 'must',
    title: 'A256KW and A256KWP wrap differently, and neither unwraps what the other wrapped',
    needs: ['aes'],
    run: async (probe) => {
      const dataKey = probe.dataKey(32)
      const plain = await probe.wrap(probe.aesKey, 'A256KW', dataKey)
      const padded = await probe.wrap(probe.aesKey, 'A256KWP', dataKey)
      const [first, second] = [probe.value(plain), probe.value(padded)]
      probe.checkReply(padded, 'another value than A256KW made', !first.equals(second))
      probe.refused(await probe.unwrap(probe.aesKey, 'A256KWP', first), 400, 'BadRequest')
      probe.refused(await probe.unwrap(probe.aesKey, 'A256KW', second), 400, 'BadRequest')
    },
  },
  {
    id: 'key-wrap.keys-differ',
    clause: 'URL, key name',
    severity: 'must',
    title: 'another key wraps into another value, and does not unwrap what this one wrapped',
    needs: ['second aes'],
    run: async (probe) => {
      const [one = '', two = ''] = probe.target.aesKeys
      const dataKey = probe.dataKey(32)
      const wrapped = probe.value(await probe.wrap(one, 'A256KW', dataKey))
      const other = await probe.wrap(two, 'A256KW', dataKey)
      probe.checkReply(other, 'another value than the first key made', !probe.value(other).equals(wrapped))
      probe.refused(await probe.unwrap(two, 'A256KW', wrapped), 400, 'BadRequest')
    },
  },
  {
    id: 'key-wrap.failures-alike',
    clause: 'Errors, BadRequest',
    severity: 'should',
    title:
      'a reply does not tell why a value of a possible length cannot be unwrapped: one status and body for every cause',
    needs: ['aes'],
    run: async (probe) => {
      for (const alg of ['A256KW', 'A256KWP'] as const) {
        const other = alg === 'A256KW' ? 'A256KWP' : 'A256KW'
        const wrapped = probe.value(await probe.wrap(probe.aesKey, alg, probe.dataKey(32)))
        const otherMode = probe.value(await probe.wrap(probe.aesKey, other, probe.dataKey(32)))
        const changed = Buffer.from(wrapped)
        changed[0] = (changed[0] ?? 0) ^ 1
        const values = [changed, otherMode, wrapped.subarray(0, 32), Buffer.alloc(40), probe.dataKey(40)]
        let first: string | undefined
        for (const value of values) {
          const reply = await probe.unwrap(probe.aesKey, alg, value)
          const answer = `${reply.status} ${reply.text}`
          first ??= answer
          probe.checkReply(reply, first, answer === first)
        }
      }
    },
  },
]
