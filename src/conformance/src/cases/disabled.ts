import type { Case } from '../case.ts'

/** Calls of which one fits any type of key, with the length of a wrapped data key of 32 bytes. */
const attempts = [
  ['A256KW', 40],
  ['RSA-OAEP-256', 256],
  ['RSA-OAEP-256', 384],
  ['RSA-OAEP-256', 512],
] as const

const disabled = (operation: string, severity: Case['severity'], title: string): Case => ({
  id: `disabled.${operation}`,
  clause: 'Errors, KeyDisabled',
  severity,
  title,
  needs: ['disabled'],
  run: async (probe) => {
    for (const name of probe.target.disabledKeys) {
      const replies = []
      for (const [alg, bytes] of attempts) {
        const value = probe.dataKey(operation === 'wrapkey' ? 32 : bytes).toString('base64url')
        replies.push(await probe.call(`${name}/${operation}`, { alg, value }, `alg ${alg}`))
      }
      for (const reply of replies) probe.refused(reply, [400, 403])
      const told = replies.find(({ status }) => status === 403) ?? replies[0]
      if (told) probe.refused(told, 403, ['KeyDisabled', 'Forbidden'])
    }
  },
})

export const disabledCases: readonly Case[] = [
  disabled('wrapkey', 'must', 'a disabled key does not wrap: 403'),
  disabled('unwrapkey', 'must', 'a disabled key does not unwrap: 403'),
  disabled('metadata', 'should', 'metadata of a disabled key is 403'),
  {
    id: 'disabled.code',
    clause: 'Errors, KeyDisabled',
    severity: 'should',
    title: 'the code says that it is the key that is disabled',
    needs: ['disabled'],
    run: async (probe) => {
      for (const name of probe.target.disabledKeys) {
        const reply = await probe.call(`${name}/metadata`)
        probe.checkReply(reply, '403 KeyDisabled', reply.status === 403 && reply.json?.['code'] === 'KeyDisabled')
      }
    },
  },
]
