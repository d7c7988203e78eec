import type { Case } from '../case.ts'
import { Silence } from '../client.ts'
import { impostorsOf } from '../impostors.ts'
import type { Probe } from '../probe.ts'
import { openSession } from '../sessions.ts'
import type { ClientIdentity } from '../target.ts'

const clause = 'Errors, Unauthorized'
const how = 'Who calls, how'
/** Milliseconds to wait for a proxy that may itself wait for the body. */
const PATIENCE_MS = 2000

/** A client that must be refused: with 401, or by an end of the connection without a reply. */
async function turnedAway(probe: Probe, what: string, identity: ClientIdentity | null): Promise<void> {
  for (const operation of ['info', 'no-such-key-8fe1/metadata']) {
    const request = probe.infoRequest().replace('/info?', `/${operation}?`)
    const sent = `${operation} as ${what}`
    const reply = await probe.raw(request, sent, {}, identity)
    const came = reply ? probe.describeReply(reply) : 'the end of the connection'
    probe.check(
      { sent, expected: '401, or the end of the connection', came },
      reply === undefined || reply.status === 401,
    )
  }
}

/** The refused client must get a ProxyError. */
async function toldSo(probe: Probe, what: string, identity: ClientIdentity | null): Promise<void> {
  const sent = `info as ${what}`
  const reply = await probe.raw(probe.infoRequest(), sent, {}, identity)
  const came = reply ? probe.describeReply(reply) : 'the end of the connection'
  const met = reply?.status === 401 && reply.json?.['code'] === 'Unauthorized'
  probe.check({ sent, expected: '401 Unauthorized', came }, met)
}

export const clientCases: readonly Case[] = [
  {
    id: 'client.none',
    clause,
    severity: 'must',
    title: 'a client without a certificate is refused',
    run: (probe) => turnedAway(probe, 'nobody', null),
  },
  {
    id: 'client.impostor',
    clause,
    severity: 'must',
    title:
      "a certificate with the right name that no allowed root issued is refused, even from a root with the right root's name",
    run: async (probe) => {
      for (const impostor of impostorsOf(probe.target.client)) await turnedAway(probe, impostor.what, impostor)
    },
  },
  {
    id: 'client.refused',
    clause: how,
    severity: 'must',
    title: 'each client of --refused is refused',
    needs: ['refused'],
    run: async (probe) => {
      for (const [name, identity] of probe.target.refused) await turnedAway(probe, name, identity)
    },
  },
  {
    id: 'client.refused-on-resumption',
    clause: how,
    severity: 'must',
    title: 'each client of --refused is refused on a resumed session, too',
    needs: ['refused'],
    run: async (probe) => {
      for (const [name, identity] of probe.target.refused) {
        const { reply } = await openSession(probe, identity).catch(() => ({ reply: undefined }))
        const came = reply ? probe.describeReply(reply) : 'the end of the connection'
        const step = {
          sent: `info as ${name}, with the session of a connection before`,
          expected: '401, or the end of the connection',
          came,
        }
        probe.check(step, reply === undefined || reply.status === 401)
      }
    },
  },
  {
    id: 'client.told-so',
    clause,
    severity: 'should',
    title: 'a refused client is told so: 401 Unauthorized, as a ProxyError',
    run: async (probe) => {
      await toldSo(probe, 'nobody', null)
      for (const impostor of impostorsOf(probe.target.client)) await toldSo(probe, impostor.what, impostor)
      for (const [name, identity] of probe.target.refused) await toldSo(probe, name, identity)
    },
  },
  {
    id: 'client.before-the-body',
    clause,
    severity: 'should',
    title: 'a refused client is told so before it has sent the body',
    run: async (probe) => {
      const [head = ''] = probe.infoRequest().split('\r\n\r\n')
      const sent = 'the head of an info call as nobody, and no body'
      const socket = await probe.connect({}, null).catch(() => undefined)
      const reply = socket && (await probe.rawOn(socket, `${head}\r\n\r\n`, sent, PATIENCE_MS))
      // A timer may fire one millisecond before its time by the clock.
      const silent = socket?.errored instanceof Silence
      const came = reply ? probe.describeReply(reply) : silent ? 'nothing' : 'the end of the connection'
      probe.check({ sent, expected: '401, or the end of the connection', came }, reply ? reply.status === 401 : !silent)
    },
  },
]
