import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { HttpConnection, type Reply } from '../bench/http-connection.ts'
import { isRight, makeCall, makePair, type Call } from '../bench/request.ts'
import { aes256, kw, kwp, oaepWrap } from '../contract/reference.ts'
import { targetOf } from '../support/steady-stream.ts'
import { tokenSite, type TokenSite } from './sites.ts'

/** The time that Azure gives a proxy. */
const DEADLINE_MS = 200
const ROUNDS = 3

/** Wraps and unwraps of all four algorithms. RSA wraps do not use the token. */
function callsOf({ keys: { touched, rsa } }: TokenSite): readonly Call[] {
  const [dek, half] = [randomBytes(32), randomBytes(16)]
  const where = { pathPrefix: 'here', key: 'touched' }
  const rsaUnwrap = (alg: string, hash: 'sha1' | 'sha256') =>
    makeCall({
      pathPrefix: 'here',
      key: 'rsa',
      alg,
      operation: 'unwrapkey',
      value: oaepWrap(rsa, hash, dek),
      result: dek,
    })
  return [
    ...makePair({ ...where, alg: 'A256KW' }, dek, kw(aes256(touched), dek)),
    // SoftHSM lacks RFC 5649, so that each step is a call of the token. The 24 steps for 32 bytes would leave a busy
    // machine only 50 ms.
    ...makePair({ ...where, alg: 'A256KWP' }, half, kwp(aes256(touched), half)),
    rsaUnwrap('RSA-OAEP', 'sha1'),
    rsaUnwrap('RSA-OAEP-256', 'sha256'),
  ]
}

it(
  'a token of 5 ms a call serves all algorithms, and its qualification continues without a lost call',
  {
    timeout: 60_000,
  },
  async () => {
    await using site = await tokenSite({ deadlineMs: DEADLINE_MS, sessions: 2, script: ['* delay 5'] })
    const { gateway } = site
    const connection = await HttpConnection.open(targetOf(gateway.port, gateway.pki))
    const calls = callsOf(site)
    // The first request is usually answered: the start waits for the qualification of short values, but at most 5 s.
    for (const call of calls) {
      for (let reply: Reply | undefined; reply?.status !== 200;) {
        reply = await connection.exchange(call.request)
        expect([200, 408]).toContain(reply.status)
      }
    }
    const lost: string[] = []
    for (let round = 1; round <= ROUNDS; round += 1) {
      for (const call of calls) {
        const reply = await connection.exchange(call.request)
        if (!isRight(call, reply)) lost.push(`${reply.status} ${reply.body} to ${call.request.toString()}`)
      }
    }
    connection.close()
    expect(lost).toEqual([])
    expect(await gateway.logged('hsm_host_lost')).toEqual([])
  },
)
