import { setTimeout as sleep } from 'node:timers/promises'
import { AdapterError, type BackendFacts, type Facts, type KeyAdapter } from '../../../adapters/contract/index.ts'
import { rowOf } from '../../backends/index.ts'
import { commandFor, type BackendQuestion } from './backend-question.ts'
import type { Findings } from './findings.ts'
import { callWithin } from './time-limit.ts'

export const PROBE_MS = 8000

/** The check backend.sessions reports these. */
const sessionFields: readonly string[] = ['sessions', 'openSessions', 'maxSessions']

export const inWords = (fields: Facts = {}): string[] =>
  Object.entries(fields)
    .filter(([name]) => !sessionFields.includes(name))
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`)

export const asAdapterError = (error: unknown): AdapterError => {
  if (error instanceof AdapterError) return error
  throw error
}

export async function factsOf(adapter: KeyAdapter): Promise<BackendFacts | undefined> {
  const { inspection } = adapter
  if (inspection === undefined) return undefined
  try {
    return await callWithin(PROBE_MS, (context) => inspection.facts(context))
  } catch (error) {
    asAdapterError(error)
    return undefined
  }
}

export function tellServers(facts: BackendFacts | undefined, question: BackendQuestion, findings: Findings): void {
  const { name } = question
  const servers = facts?.servers ?? []
  const some = servers.some(({ unusable }) => unusable === undefined)
  for (const { address, unusable, fields } of servers) {
    const more = { subject: name, fields: { server: address, ...fields } }
    if (unusable === undefined) findings.ok('backend.servers', `${address}: ${inWords(fields).join(', ')}`, more)
    else {
      const found = `${address} cannot be used: ${unusable}`
      const help = {
        ...more,
        advice: serverHints[unusable] ?? 'find out what is wrong with that server',
        ...commandFor(question),
      }
      // The other servers serve in its place.
      if (some) findings.warning('backend.servers', found, help)
      else findings.problem('backend.servers', found, help)
    }
  }
}

const serverHints: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is it running, and is this its port?',
  ETIMEDOUT: 'does a firewall block the connection?',
  ENOTFOUND: 'the host name does not resolve: correct servers, or the DNS',
  EHOSTUNREACH: 'there is no route to that host',
}

const SESSIONS_MS = 5000

/** The adapter opens sessions one after another in the background. */
export async function checkSessions(adapter: KeyAdapter, question: BackendQuestion, findings: Findings): Promise<void> {
  const { name, settings } = question
  const check = rowOf(settings).check.sessions(settings)
  if (check === undefined) return
  const read = async () => {
    const { sessions, openSessions, maxSessions } = (await factsOf(adapter))?.fields ?? {}
    return { sessions: Number(sessions), openSessions: Number(openSessions), maxSessions }
  }
  let now = await read()
  for (const began = performance.now(); now.openSessions < now.sessions; now = await read()) {
    if (performance.now() - began > SESSIONS_MS) break
    await sleep(50)
  }
  const { sessions, openSessions, maxSessions } = now
  const limit = maxSessions === undefined ? `${check.holder} states no limit` : `${check.holder} allows ${maxSessions}`
  const wanted = check.wanted ?? sessions
  const found = `${openSessions} of ${wanted} sessions are open; ${limit}`
  const more = { subject: name, fields: { sessions, openSessions, ...(maxSessions !== undefined && { maxSessions }) } }
  if (openSessions >= wanted) findings.ok('backend.sessions', found, more)
  else findings.warning('backend.sessions', found, { ...more, advice: check.advice })
}
