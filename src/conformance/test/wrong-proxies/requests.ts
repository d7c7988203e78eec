import { badRequest, Refusal, right, type Behaviour, type Json } from './behaviour.ts'
import { mutation, type Mutation } from './mutation.ts'

const { below, contextIsFine, decode, findKey, illegalKeyName, operationOf, parse, renderFailure, renderSuccess } =
  right
const every = (group: string, ...rules: string[]) => rules.map((rule) => `${group}.${rule}`)
const versionsOf = (query: URLSearchParams) => query.getAll('api-version')
const bug = () => new Refusal(500, 'InternalServerError')
const decoded = (path: string) =>
  below(path.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(parseInt(hex, 16))))

// Not formatted: one wrong proxy a line, to be read by columns.
export const urlMutations: readonly Mutation[] = [
  mutation('ignores the case of the prefix', { below: (path) => below(path.replace(/^\/azureekm\/contoso/i, '/azureekm/contoso')) }, ['url.prefix-case']),
  mutation('serves any prefix', { below: (path) => path.split('/').slice(-2).join('/').replace(/^.*\/(?=info$)/, '') }, every('url', 'prefix-case', 'prefix-needed', 'one-spelling')),
  mutation('takes an unknown operation for metadata', { operationOf: (name) => operationOf(name) ?? 'metadata' }, ['url.unknown-operation']),
  mutation('ignores slashes at the end', { below: (path) => below(path.replace(/\/+$/, '')) }, ['url.one-spelling']),
  mutation('decodes the path', { below: decoded }, ['url.one-spelling', 'key-name.percent-encoded']),
  mutation('ignores the case of a key name', { findKey: (keys, name) => findKey(keys, name.toLowerCase()) }, ['key-name.case']),
  mutation('answers 400 to an unknown key', { unknownKey: badRequest }, every('key-name', 'unknown', 'case', 'longest')),
  mutation('calls an unknown key NotFound', { unknownKey: () => new Refusal(404, 'NotFound') }, ['error.code'], { only: ['key-name', 'error'] }),
  mutation('answers an unknown key with 500', { unknownKey: () => new Refusal(500, 'KeyNotFound') }, [...every('key-name', 'unknown', 'case', 'longest'), 'error.no-bug']),
  mutation('knows key names of 63 characters at most', { illegalKeyName: (name) => illegalKeyName(`${name}x`) }, ['key-name.longest']),
  mutation('stumbles over an illegal key name', { illegalKeyName: (name) => illegalKeyName(name) && bug() }, ['key-name.illegal', 'key-name.percent-encoded', 'error.no-bug']),
  mutation('accepts a missing api-version', { versionIsFine: (query) => versionsOf(query).every((version) => version === '0.1-preview') }, every('api-version', 'missing', 'on-every-call')),
  mutation('accepts an empty api-version', { versionIsFine: (query) => ['', '0.1-preview'].includes(versionsOf(query)[0] ?? '-') }, ['api-version.empty']),
  mutation('accepts any api-version', { versionIsFine: (query) => (versionsOf(query)[0] ?? '') !== '' }, every('api-version', 'unsupported', 'prefix-of-it')),
  mutation('accepts the beginning of an api-version', { versionIsFine: (query) => '0.1-preview'.startsWith(versionsOf(query)[0] || '-') }, ['api-version.prefix-of-it']),
  mutation('looks at the api-version of info only', { versionIsFine: (query, operation) => operation !== 'info' || versionsOf(query)[0] === '0.1-preview' }, ['api-version.on-every-call']),
  mutation('accepts no other query parameters', { versionIsFine: (query) => query.toString() === 'api-version=0.1-preview' }, ['api-version.other-parameters']),
] /* prettier-ignore */ // one case a line

const context = (change: (context: Json) => Json): Partial<Behaviour> => ({
  contextIsFine: (given, operation) =>
    contextIsFine(
      typeof given === 'object' && given !== null && !Array.isArray(given) ? change(given as Json) : given,
      operation,
    ),
})

const parseOr = (lenient: (text: string) => unknown) => (bytes: Buffer) => {
  const text = bytes.toString('utf8')
  const special = lenient(text)
  return special === undefined ? parse(bytes) : (special as Json)
}
const goodContext = { request_context: { correlation_id: '', pool_name: '' } }

// Not formatted: one wrong proxy a line, to be read by columns.
export const bodyMutations: readonly Mutation[] = [
  mutation('needs no request_context', { contextIsFine: (given, operation) => given === undefined || contextIsFine(given, operation) }, every('context', 'missing', 'on-every-call')),
  mutation('takes anything for a request_context', { contextIsFine: (given, operation) => (given !== undefined && (typeof given !== 'object' || given === null)) || contextIsFine(given, operation) }, ['context.not-an-object']),
  mutation('needs no correlation_id', context((given) => ({ correlation_id: '', ...given })), ['context.no-correlation-id']),
  mutation('needs no pool_name', context((given) => ({ pool_name: '', ...given })), ['context.no-pool-name']),
  mutation('ignores types in request_context', context((given) => Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]))), ['context.wrong-types']),
  mutation('looks at the request_context of info only', { contextIsFine: (given, operation) => operation !== 'info' || contextIsFine(given, operation) }, ['context.on-every-call']),
  mutation('needs a request_id', { contextIsFine: (given, operation) => contextIsFine(given, operation) && 'request_id' in (given as Json) }, ['context.request-id-optional']),
  mutation('refuses members that it does not know', { membersAreFine: (body) => Object.keys(body).every((name) => ['request_context', 'alg', 'value'].includes(name)) }, ['body.unknown-members']),
  mutation('answers 500 to bad JSON', { unparsable: bug }, every('body', 'not-json', 'empty', 'not-an-object', 'not-utf8').concat('error.no-bug')),
  mutation('answers 422 to bad JSON', { unparsable: () => new Refusal(422, 'BadRequest') }, every('body', 'not-json', 'empty', 'not-an-object', 'not-utf8')),
  mutation('takes an empty body for a good one', { parse: parseOr((text) => (text === '' ? goodContext : undefined)) }, ['body.empty']),
  mutation('takes a body that is not JSON for a good one', { parse: parseOr((text) => (text === 'hello' ? goodContext : undefined)) }, ['body.not-json']),
  mutation('takes the first of several bodies', { parse: parseOr((text) => (text.startsWith('[') ? (JSON.parse(text) as unknown[])[0] : undefined)) }, ['body.not-an-object']),
  mutation('repairs what is not UTF-8', { parse: (bytes) => parse(Buffer.from(bytes.toString('utf8'))) }, ['body.not-utf8']),
  mutation('takes A256KW where there is no alg', { algOf: (body) => ('alg' in body ? body['alg'] : 'A256KW') }, ['body.no-alg']),
  mutation('takes zeros where there is no value', { valueOf: (body) => ('value' in body ? body['value'] : 'A'.repeat(32)) }, ['body.no-value']),
  mutation('makes a text of any value', { valueOf: (body) => ('value' in body ? String(body['value']) : undefined) }, ['body.wrong-types']),
] /* prettier-ignore */ // one case a line

// Not formatted: one wrong proxy a line, to be read by columns.
export const replyMutations: readonly Mutation[] = [
  mutation('does not say what it is', { info: () => ({ ...right.info(), ekm_product: undefined }) }, ['info.members']),
  mutation('supports another api-version', { info: () => ({ ...right.info(), api_version: '1.0' }) }, ['info.members']),
  mutation('gives key_size in bytes', { metadata: (reply) => ({ ...reply, key_size: Number(reply['key_size']) / 8 }) }, ['metadata.oct', 'metadata.rsa']),
  mutation('gives key_size as a text', { metadata: (reply) => ({ ...reply, key_size: String(reply['key_size']) }) }, ['metadata.oct', 'metadata.rsa']),
  mutation('calls an AES key AES', { metadata: (reply) => ({ ...reply, ...(reply['key_type'] === 'oct' && { key_type: 'AES' }) }) }, ['metadata.oct']),
  mutation('tells more of an AES key', { metadata: (reply) => ({ ...reply, kid: 'aes-1' }) }, ['metadata.oct-is-bare']),
  mutation('forgets key_ops', { metadata: (reply) => ({ ...reply, key_ops: undefined }) }, ['metadata.oct-is-bare', ...every('metadata', 'key-ops-aes', 'key-ops-rsa')]),
  mutation('has a third of key_ops', { metadata: (reply) => ({ ...reply, key_ops: ['wrapKey', 'unwrapKey', 'sign'] }) }, every('metadata', 'key-ops-aes', 'key-ops-rsa')),
  mutation('gives n with a leading zero', { metadata: (reply) => ({ ...reply, ...('n' in reply && { n: Buffer.concat([Buffer.of(0), Buffer.from(String(reply['n']), 'base64url')]).toString('base64url') }) }) }, ['metadata.rsa-integers']),
  mutation('gives n in base64', { metadata: (reply) => ({ ...reply, ...('n' in reply && { n: Buffer.from(String(reply['n']), 'base64url').toString('base64') }) }) }, ['metadata.rsa-integers']),
  mutation('answers text/plain', { renderSuccess: (body) => ({ ...renderSuccess(body), headers: { 'content-type': 'text/plain' } }) }, ['reply.content-type']),
  mutation('pads its values', { encode: (bytes) => bytes.toString('base64') }, ['reply.encoding']),
  mutation('answers errors as text/plain', { renderFailure: (refusal) => ({ ...renderFailure(refusal), headers: { ...refusal.headers, 'content-type': 'text/plain' } }) }, ['error.content-type']),
  mutation('has no body for a path that it does not serve', { renderFailure: (refusal) => ({ ...renderFailure(refusal), ...(refusal.code === 'NotFound' && { body: '' }) }) }, ['error.elsewhere'], { only: ['url', 'error'] }),
  mutation('has names of its own in errors', { renderFailure: (refusal) => ({ ...renderFailure(refusal), body: JSON.stringify({ code: `E${refusal.status}`, message: 'refused' }) }) }, ['error.code']),
  mutation('has no message in errors', { renderFailure: (refusal) => ({ ...renderFailure(refusal), body: JSON.stringify({ code: refusal.code }) }) }, ['error.shape']),
  mutation('has an empty message in errors', { renderFailure: (refusal) => ({ ...renderFailure(refusal), body: JSON.stringify({ code: refusal.code, message: '' }) }) }, ['error.says-something']),
  mutation('has more in errors', { renderFailure: (refusal) => ({ ...renderFailure(refusal), body: JSON.stringify({ code: refusal.code, message: 'refused', status: refusal.status }) }) }, ['error.nothing-else']),
  mutation('echoes the value in errors', { badLength: (value) => badRequest(`a value of ${value.length} characters does not fit: ${value}`) }, ['error.no-echo']),
  mutation('echoes the value in errors, in hex', { badLength: (value) => badRequest(`bad: ${Buffer.from(value, 'base64url').toString('hex')}`) }, ['error.no-echo']),
] /* prettier-ignore */ // one case a line

const accepts = (rule: string, repair: (text: string) => string) =>
  mutation(`accepts ${rule.replace('-', ' ')}`, { decode: (text) => decode(repair(text)) }, [`encoding.${rule}`])

// Not formatted: one wrong proxy a line, to be read by columns.
export const encodingMutations: readonly Mutation[] = [
  accepts('padding', (text) => text.replace(/=+$/, '')),
  accepts('standard-alphabet', (text) => text.replaceAll('+', '-').replaceAll('/', '_')),
  accepts('leftover-bits', (text) => (/^[\w-]+$/.test(text) && text.length % 4 > 1 ? Buffer.from(text, 'base64url').toString('base64url') : text)),
  accepts('white-space', (text) => text.replace(/[ \r\n]/g, '')),
  accepts('length', (text) => (text.length % 4 === 1 ? text.slice(0, -1) : text)),
  accepts('other-characters', (text) => text.replace(/[^\w\-+/=\s]/g, '')),
  mutation('answers an empty value to an empty value', { takes: (work) => work.bytes.length === 0 || right.takes(work), takesWrapped: (work) => work.bytes.length === 0 || right.takesWrapped(work), wrap: (work, kek) => (work.bytes.length === 0 ? work.bytes : right.wrap(work, kek)), unwrap: (work, kek) => (work.bytes.length === 0 ? work.bytes : right.unwrap(work, kek)) },
    ['encoding.empty', 'a256kw.wrapped-lengths', 'a256kwp.data-key-lengths', 'a256kwp.wrapped-lengths', ...['rsa-oaep', 'rsa-oaep-256'].flatMap((group) => every(group, 'empty', 'wrapped-length'))]),
] /* prettier-ignore */ // one case a line
