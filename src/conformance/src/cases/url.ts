import type { Case } from '../case.ts'
import { API_QUERY, API_VERSION, requestContext } from '../api.ts'
import { notApplicable, type Probe } from '../probe.ts'

const clause = 'URL'
const operations = ['metadata', 'wrapkey', 'unwrapkey'] as const
const body = () => JSON.stringify(requestContext())
/** The members of an operation besides request_context. 24 bytes are a legal data key and a legal wrapped value. */
const membersOf = (operation: string) => (operation === 'metadata' ? {} : { alg: 'A256KW', value: 'A'.repeat(32) })

const swapCase = (text: string) =>
  text.replace(/[a-z]/gi, (letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))

/** Calls every operation on a key of that name, with a body that would be correct if the key existed. */
async function onEveryOperation(probe: Probe, name: string) {
  for (const operation of operations) {
    const reply = await probe.call(`${name}/${operation}`, membersOf(operation))
    probe.refused(reply, [400, 404], reply.status === 404 ? 'KeyNotFound' : 'BadRequest')
  }
}

const apiVersion = (id: string, title: string, query: string): Case => ({
  id: `api-version.${id}`,
  clause,
  severity: 'must',
  title,
  run: async (probe) => {
    probe.refused(await probe.send({ path: probe.path('info', query), body: body() }), 400, 'BadRequest')
  },
})

export const urlCases: readonly Case[] = [
  {
    id: 'url.prefix-case',
    clause,
    severity: 'must',
    title: 'the path prefix is case-sensitive',
    needs: ['prefix'],
    run: async (probe) => {
      const other = swapCase(probe.target.prefix)
      if (other === probe.target.prefix) notApplicable('the prefix has no letters')
      probe.turnedDown(await probe.send({ path: `/${other}/info?${API_QUERY}`, body: body() }))
    },
  },
  {
    id: 'url.prefix-needed',
    clause,
    severity: 'must',
    title: 'nothing is served without the path prefix, or under a longer one',
    needs: ['prefix', 'aes'],
    run: async (probe) => {
      for (const prefix of ['', `/${probe.target.prefix}x`, `/${probe.target.prefix}/x`]) {
        const path = `${prefix}/${probe.aesKey}/metadata?${API_QUERY}`
        probe.turnedDown(await probe.send({ path, body: body() }))
      }
    },
  },
  {
    id: 'url.unknown-operation',
    clause,
    severity: 'must',
    title: 'an operation that the API does not have is refused',
    needs: ['aes'],
    run: async (probe) => {
      for (const operation of ['sign', 'WrapKey', 'wrapkey/now']) {
        const members = membersOf(operation)
        probe.turnedDown(await probe.call(`${probe.aesKey}/${operation}`, members))
      }
    },
  },
  {
    id: 'url.one-spelling',
    clause,
    severity: 'should',
    title: 'a path has one spelling: no trailing slash, doubled slash or percent-encoding of it is served',
    run: async (probe) => {
      for (const operation of ['info/', '/info', 'inf%6f']) {
        probe.turnedDown(await probe.send({ path: probe.path(operation), body: body() }))
      }
    },
  },
  {
    id: 'key-name.unknown',
    clause: 'Errors, KeyNotFound',
    severity: 'must',
    title: 'a key that does not exist is 404, for every operation',
    run: async (probe) => {
      for (const operation of operations) {
        const members = membersOf(operation)
        probe.refused(await probe.call(`no-such-key-8fe1/${operation}`, members), 404, 'KeyNotFound')
      }
    },
  },
  {
    id: 'key-name.case',
    clause,
    severity: 'must',
    title: 'a key name is case-sensitive',
    needs: ['aes'],
    run: async (probe) => {
      const other = swapCase(probe.aesKey)
      if (other === probe.aesKey) notApplicable('the key name has no letters')
      for (const operation of operations) {
        probe.refused(await probe.call(`${other}/${operation}`, membersOf(operation)), 404, 'KeyNotFound')
      }
    },
  },
  {
    id: 'key-name.longest',
    clause,
    severity: 'must',
    title: 'a key name of 64 characters is legal: 404 if the key does not exist',
    run: async (probe) => {
      probe.refused(await probe.call(`${'k'.repeat(64)}/metadata`), 404, 'KeyNotFound')
    },
  },
  {
    id: 'key-name.illegal',
    clause,
    severity: 'must',
    title: 'a key name that is too long or has other characters is refused: 400 or 404',
    run: async (probe) => {
      for (const name of ['k'.repeat(65), 'a.b', 'a_b', 'a%20b', 'a~b', 'a:b', "a'b"]) {
        await onEveryOperation(probe, name)
      }
    },
  },
  {
    id: 'key-name.percent-encoded',
    clause,
    severity: 'should',
    title: 'a percent-encoded key name is not another spelling of the key',
    needs: ['aes'],
    run: async (probe) => {
      const [first = ''] = probe.aesKey
      const encoded = `%${first.charCodeAt(0).toString(16)}${probe.aesKey.slice(1)}`
      probe.turnedDown(await probe.call(`${encoded}/metadata`))
    },
  },
  apiVersion('missing', 'a request without api-version is 400', ''),
  apiVersion('empty', 'an empty api-version is 400', 'api-version='),
  apiVersion('unsupported', 'an api-version that is not supported is 400', 'api-version=7.4'),
  apiVersion('prefix-of-it', 'a part of a supported api-version is not supported', 'api-version=0.1'),
  {
    id: 'api-version.on-every-call',
    clause,
    severity: 'must',
    title: 'api-version is required on metadata, wrapkey and unwrapkey too',
    needs: ['aes'],
    run: async (probe) => {
      for (const operation of operations) {
        const members = { ...requestContext(), ...membersOf(operation) }
        const path = probe.path(`${probe.aesKey}/${operation}`, '')
        probe.refused(await probe.send({ path, body: JSON.stringify(members) }), 400, 'BadRequest')
      }
    },
  },
  {
    id: 'api-version.other-parameters',
    clause,
    severity: 'should',
    title: 'query parameters beside api-version are ignored',
    run: async (probe) => {
      const path = probe.path('info', `trace=1&api-version=${API_VERSION}`)
      probe.served(await probe.send({ path, body: body() }))
    },
  },
]
