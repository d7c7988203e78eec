import type { Case } from '../case.ts'
import { base64url } from '../api.ts'
import { notApplicable, type Probe, type Seen } from '../probe.ts'

const afterwards = (id: string, severity: Case['severity'], clause: string, title: string, run: Case['run']): Case => ({
  id,
  clause,
  severity,
  title,
  phase: 'afterwards',
  run,
})

const failures = ({ seen }: Probe) => seen.filter(({ status, method }) => status >= 400 && method !== 'HEAD')
const failuresOfApi = (probe: Probe) => failures(probe).filter(({ ofApi }) => ofApi)
const failuresElsewhere = (probe: Probe) => failures(probe).filter(({ ofApi }) => !ofApi)
const successes = ({ seen }: Probe) => seen.filter(({ status }) => status === 200)

const everyOne = (probe: Probe, replies: readonly Seen[], expected: string, met: (reply: Seen) => boolean) => {
  if (replies.length === 0) notApplicable('there was no such answer')
  for (const reply of replies) probe.checkReply(reply, expected, met(reply))
}

const isJson = ({ headers }: Seen) => /^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '')
const isProxyError = ({ json }: Seen) => ['code', 'message'].every((member) => typeof json?.[member] === 'string')

export const afterwardsCases: readonly Case[] = [
  afterwards('reply.content-type', 'must', 'Who calls, how', 'every success of the run was application/json', (probe) =>
    everyOne(probe, successes(probe), 'content type application/json', isJson),
  ),
  afterwards('reply.encoding', 'must', 'Bodies, values', 'every value of the run came in base64url without padding', (probe) => {
    const values = successes(probe).filter(({ json }) => typeof json?.['value'] === 'string')
    everyOne(probe, values, 'base64url without padding', ({ json }) => {
      const value = String(json?.['value'])
      return base64url(Buffer.from(value, 'base64url')) === value
    })
  }),
  afterwards('error.content-type', 'must', 'Who calls, how', 'every failure of a call of the API was application/json', (probe) =>
    everyOne(probe, failuresOfApi(probe), 'content type application/json', isJson),
  ),
  afterwards('error.shape', 'must', 'Errors', 'every failure of a call of the API had the strings code and message', (probe) =>
    everyOne(probe, failuresOfApi(probe), 'strings code and message', isProxyError),
  ),
  afterwards('error.elsewhere', 'should', 'Errors', 'requests that are not calls of the API were refused in the same form: application/json, with code and message', (probe) =>
    everyOne(probe, failuresElsewhere(probe), 'application/json with code and message', (reply) => isJson(reply) && isProxyError(reply)),
  ),
  afterwards('error.code', 'should', 'Errors', "the codes of the run are the names that Microsoft's troubleshooting page gives to the statuses", (probe) => {
    if (probe.named.length === 0) notApplicable('there was no such answer')
    for (const { reply, codes } of probe.named) {
      probe.checkReply(reply, `code ${codes.join(' or ')}`, codes.some((code) => code === reply.json?.['code']))
    }
  }),
  afterwards('error.nothing-else', 'should', 'Errors', 'no failure of the run had other members than code and message', (probe) =>
    everyOne(probe, failures(probe), 'only code and message', ({ json = {} }) =>
      Object.keys(json).every((member) => member === 'code' || member === 'message'),
    ),
  ),
  afterwards('error.says-something', 'should', 'Errors', 'no code and no message of the run was empty', (probe) =>
    everyOne(probe, failures(probe), 'a code and a message', ({ json = {} }) => json['code'] !== '' && json['message'] !== ''),
  ),
  afterwards('error.no-echo', 'must', 'What the proxy must log and expose', 'no failure of the run repeated the value that was sent, in any spelling', (probe) =>
    everyOne(probe, failures(probe), 'an answer without the value that was sent', ({ text, secrets }) =>
      !secrets.some((secret) => text.includes(secret)),
    ),
  ),
  afterwards('error.no-bug', 'must', 'Errors, InternalServerError', 'nothing that was sent in the run was answered with 500', (probe) =>
    everyOne(probe, [...probe.seen], 'another status than 500', ({ status }) => status !== 500),
  ),
  afterwards('throttle.code', 'should', 'Errors, Throttled', 'every 429 of the run had the code Throttled', (probe) =>
    everyOne(probe, throttled(probe), 'code Throttled', ({ json }) => json?.['code'] === 'Throttled'),
  ),
  afterwards('throttle.retry-after', 'must', 'Errors, Throttled', 'every 429 of the run had a Retry-After', (probe) =>
    everyOne(probe, throttled(probe), 'a Retry-After', ({ headers }) => headers['retry-after'] !== undefined),
  ),
] /* prettier-ignore */ // one rule begins on one line

const throttled = ({ seen }: Probe) => seen.filter(({ status }) => status === 429)
