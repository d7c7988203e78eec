import { createPublicKey } from 'node:crypto'
import type { Case } from '../case.ts'
import { API_VERSION, base64url } from '../api.ts'
import type { Reply } from '../probe.ts'

const text = (reply: Reply, member: string): string => {
  const value = reply.json?.[member]
  return typeof value === 'string' ? value : ''
}

const isCanonical = (value: string) => base64url(Buffer.from(value, 'base64url')) === value

/** The number of bits of an unsigned big-endian integer. */
export function bitLength(integer: Uint8Array): number {
  const first = integer.findIndex((byte) => byte !== 0)
  return first === -1 ? 0 : (integer.length - first - 1) * 8 + (32 - Math.clz32(integer[first] ?? 0))
}

const INFO = ['api_version', 'proxy_vendor', 'proxy_name', 'ekm_vendor', 'ekm_product']

export const replyCases: readonly Case[] = [
  {
    id: 'info.members',
    clause: 'Bodies, info',
    severity: 'must',
    title: `info has ${INFO.join(', ')}, all strings, and supports ${API_VERSION}`,
    run: async (probe) => {
      const reply = await probe.call('info')
      probe.served(reply)
      for (const member of INFO) probe.checkReply(reply, `a text as ${member}`, text(reply, member) !== '')
      const supported = text(reply, 'api_version') === API_VERSION
      probe.checkReply(reply, `api_version ${API_VERSION}`, supported)
    },
  },
  {
    id: 'metadata.oct',
    clause: 'Bodies, metadata',
    severity: 'must',
    title: 'metadata of an AES key has key_type "oct" and key_size 256',
    needs: ['aes'],
    run: async (probe) => {
      const reply = await probe.call(`${probe.aesKey}/metadata`)
      probe.served(reply)
      probe.checkReply(reply, 'key_type "oct"', reply.json?.['key_type'] === 'oct')
      probe.checkReply(reply, 'key_size 256, a number', reply.json?.['key_size'] === 256)
    },
  },
  {
    id: 'metadata.oct-is-bare',
    clause: 'Bodies, metadata',
    severity: 'should',
    title: 'metadata of an AES key contains nothing else: neither n and e, nor anything like key material',
    needs: ['aes'],
    run: async (probe) => {
      const reply = await probe.call(`${probe.aesKey}/metadata`)
      probe.served(reply)
      const members = Object.keys(reply.json ?? {}).sort()
      probe.checkReply(reply, 'only key_type, key_size, key_ops', members.join() === 'key_ops,key_size,key_type')
    },
  },
  {
    id: 'metadata.rsa',
    clause: 'Bodies, metadata',
    severity: 'must',
    title: 'metadata of an RSA key has key_type "RSA", and key_size 2048, 3072 or 4096, as long as n is',
    needs: ['rsa'],
    run: async (probe) => {
      const reply = await probe.call(`${probe.rsaKey}/metadata`)
      probe.served(reply)
      const size = reply.json?.['key_size']
      probe.checkReply(reply, 'key_type "RSA"', reply.json?.['key_type'] === 'RSA')
      probe.checkReply(
        reply,
        'key_size 2048, 3072 or 4096, a number',
        [2048, 3072, 4096].some((bits) => bits === size),
      )
      const bits = bitLength(Buffer.from(text(reply, 'n'), 'base64url'))
      probe.checkReply(reply, `key_size ${bits}, as n is`, size === bits)
    },
  },
  {
    id: 'metadata.rsa-integers',
    clause: 'Bodies, values',
    severity: 'must',
    title: 'n and e are base64url without padding, unsigned big-endian, without leading zeros',
    needs: ['rsa'],
    run: async (probe) => {
      const reply = await probe.call(`${probe.rsaKey}/metadata`)
      probe.served(reply)
      for (const member of ['n', 'e']) {
        const value = text(reply, member)
        probe.checkReply(reply, `${member} in base64url without padding`, value !== '' && isCanonical(value))
        const leading = Buffer.from(value, 'base64url')[0]
        probe.checkReply(reply, `${member} without leading zeros`, leading !== 0)
      }
      const jwk = { kty: 'RSA', n: text(reply, 'n'), e: text(reply, 'e') }
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      const { publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
      probe.checkReply(reply, 'an odd e above 1', publicExponent > 1n && publicExponent % 2n === 1n)
    },
  },
  ...(['aes', 'rsa'] as const).map((kind): Case => ({
    id: `metadata.key-ops-${kind}`,
    clause: 'Bodies, metadata',
    severity: 'must',
    title: `key_ops of an ${kind.toUpperCase()} key is exactly ["wrapKey","unwrapKey"]`,
    needs: [kind],
    run: async (probe) => {
      const reply = await probe.call(`${kind === 'aes' ? probe.aesKey : probe.rsaKey}/metadata`)
      probe.served(reply)
      const met = JSON.stringify(reply.json?.['key_ops']) === '["wrapKey","unwrapKey"]'
      probe.checkReply(reply, 'key_ops ["wrapKey","unwrapKey"]', met)
    },
  })),
]
