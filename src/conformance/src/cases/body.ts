import type { Case, Severity } from '../case.ts'
import { requestContext } from '../api.ts'

const clause = 'Bodies'
const context = { correlation_id: 'c-1', pool_name: 'conformance' }

/** A case with a body that `info` must refuse with 400. */
const refusedBody = (id: string, title: string, severity: Severity, ...bodies: (string | Buffer)[]): Case => ({
  id,
  clause,
  severity,
  title,
  run: async (probe) => {
    for (const body of bodies) probe.refused(await probe.send({ path: probe.path('info'), body }), 400, 'BadRequest')
  },
})

const withContext = (request_context: unknown) => JSON.stringify({ request_context })

/** A case with members that wrapkey and unwrapkey must refuse with 400. */
const refusedMembers = (id: string, title: string, ...members: object[]): Case => ({
  id,
  clause,
  severity: 'must',
  title,
  needs: ['aes'],
  run: async (probe) => {
    for (const operation of ['wrapkey', 'unwrapkey']) {
      for (const member of members) {
        const all = { alg: 'A256KW', value: 'A'.repeat(32), ...member }
        probe.refused(await probe.call(`${probe.aesKey}/${operation}`, all), 400, 'BadRequest')
      }
    }
  },
})

export const bodyCases: readonly Case[] = [
  refusedBody('context.missing', 'a request without request_context is 400', 'must', '{}'),
  refusedBody(
    'context.not-an-object',
    'a request_context that is not an object is 400',
    'must',
    withContext('text'),
    withContext(null),
    withContext([]),
  ),
  refusedBody(
    'context.no-correlation-id',
    'a request_context without correlation_id is 400',
    'must',
    withContext({ pool_name: 'p' }),
  ),
  refusedBody(
    'context.no-pool-name',
    'a request_context without pool_name is 400',
    'must',
    withContext({ correlation_id: 'c' }),
  ),
  refusedBody(
    'context.wrong-types',
    'members of request_context that are not strings are 400',
    'should',
    withContext({ ...context, correlation_id: 1 }),
    withContext({ ...context, pool_name: ['p'] }),
    withContext({ ...context, request_id: 1 }),
  ),
  {
    id: 'context.on-every-call',
    clause,
    severity: 'must',
    title: 'request_context is required on metadata, wrapkey and unwrapkey too',
    needs: ['aes'],
    run: async (probe) => {
      for (const operation of ['metadata', 'wrapkey', 'unwrapkey']) {
        const body = JSON.stringify(operation === 'metadata' ? {} : { alg: 'A256KW', value: 'A'.repeat(32) })
        probe.refused(await probe.send({ path: probe.path(`${probe.aesKey}/${operation}`), body }), 400, 'BadRequest')
      }
    },
  },
  {
    id: 'context.request-id-optional',
    clause,
    severity: 'must',
    title: 'request_id may be absent',
    run: async (probe) => {
      probe.served(await probe.send({ path: probe.path('info'), body: withContext(context) }))
    },
  },
  {
    id: 'body.unknown-members',
    clause,
    severity: 'should',
    title: 'members that the API does not know are ignored',
    run: async (probe) => {
      probe.served(await probe.call('info', { future: { a: [1] } }))
    },
  },
  refusedBody('body.not-json', 'a body that is not JSON is 400', 'must', '{"request_context":', 'hello'),
  refusedBody('body.empty', 'an empty body is 400', 'must', ''),
  refusedBody(
    'body.not-an-object',
    'a JSON body that is not an object is 400',
    'must',
    'null',
    '1',
    '"text"',
    JSON.stringify([requestContext()]),
  ),
  refusedBody(
    'body.not-utf8',
    'a body that is not UTF-8 is 400',
    'should',
    Buffer.concat([Buffer.from(withContext(context)).subarray(0, -2), Buffer.from(',"x":"\xff"}}', 'latin1')]),
  ),
  refusedMembers('body.no-alg', 'wrapkey and unwrapkey without alg are 400', { alg: undefined }),
  refusedMembers('body.no-value', 'wrapkey and unwrapkey without value are 400', { value: undefined }),
  refusedMembers(
    'body.wrong-types',
    'an alg or a value that is not a string is 400',
    { alg: 1 },
    { alg: null },
    { value: 1 },
    { value: null },
    { value: ['A'.repeat(32)] },
  ),
]
