import { AdapterError, type CallSignal } from '../../contract/index.ts'
import { discoverVersions, query, type ServerCapabilities } from '../protocol/discovery.ts'
import { resultReason } from '../protocol/numbers.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { LOGIN_REFUSED, NO_ANSWER, ServerUnreachable } from './unreachable.ts'

/** What negotiation has learned about a server. */
export interface Negotiated extends ServerCapabilities {
  readonly version: KmipVersion
}

/** Sends operations as one message. */
export type Send = (
  operations: readonly KmipOperation<unknown>[],
  version: KmipVersion,
  signal: CallSignal,
) => Promise<Outcome<unknown>[]>

/** Nearly every server answers a message with an old header. PyKMIP refuses a header of 2.1. */
const oldestFirst = [...kmipVersions].reverse()

/**
 * Agrees on one of the `offered` versions, newest first, and asks what the server supports.
 * @throws ServerUnreachable, and whatever `send` rejects with
 */
export async function negotiate(
  send: Send,
  address: string,
  offered: readonly KmipVersion[],
  signal: CallSignal,
): Promise<Negotiated> {
  const version = await agree(send, address, offered, signal)
  const [capabilities] = await send([query], version, signal)
  // A server may answer Query to no client. What it supports then shows when it is used.
  return { version, ...(capabilities?.ok ? (capabilities.value as ServerCapabilities) : { operations: new Set() }) }
}

/** A server may refuse a header whose version it does not know, so the question is sent with several. */
async function agree(
  send: Send,
  address: string,
  offered: readonly KmipVersion[],
  signal: CallSignal,
): Promise<KmipVersion> {
  let silence: AdapterError | undefined
  for (const header of oldestFirst) {
    try {
      const [outcome] = await send([discoverVersions(offered)], header, signal)
      if (outcome === undefined) continue
      if (outcome.ok) {
        const [best] = outcome.value as readonly KmipVersion[]
        if (best !== undefined) return best
      } else if (refusesLogin(outcome)) throw loginRefused(address)
    } catch (error) {
      // Some servers send no answer at all to a header that they cannot read.
      if (!(error instanceof AdapterError) || error.code !== 'BACKEND_UNAVAILABLE' || signal.aborted) throw error
      silence = error
    }
  }
  if (silence !== undefined) throw silence
  throw new ServerUnreachable(NO_ANSWER, `${address} speaks none of KMIP ${offered.join(', ')}`)
}

export const refusesLogin = (outcome: Outcome<unknown>): boolean =>
  !outcome.ok && outcome.refusal.reason === resultReason.AuthenticationNotSuccessful

export const loginRefused = (address: string) =>
  new ServerUnreachable(
    LOGIN_REFUSED,
    `${address} answered Authentication Not Successful: correct credentials, or tls.certificate, by which the server knows this client`,
  )
