import { AdapterError, type CallSignal } from '../../contract/index.ts'
import { discoverVersions, query, type ServerCapabilities } from '../protocol/discovery.ts'
import { resultReason } from '../protocol/numbers.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { LOGIN_REFUSED, NO_ANSWER, ServerUnreachable } from './unreachable.ts'

/** What was found out about a server. */
export interface Negotiated extends ServerCapabilities {
  readonly version: KmipVersion
}

/** Asks operations as one message. */
export type Send = (
  operations: readonly KmipOperation<unknown>[],
  version: KmipVersion,
  signal: CallSignal,
) => Promise<Outcome<unknown>[]>

/** Nearly every server answers to an old header; PyKMIP refuses one of 2.1 outright. */
const oldestFirst = [...kmipVersions].reverse()

/**
 * Agrees on one of the versions `offered`, best first, and asks what the server can do. Rejects with
 * {@link ServerUnreachable} and as `send` does.
 */
export async function negotiate(
  send: Send,
  address: string,
  offered: readonly KmipVersion[],
  signal: CallSignal,
): Promise<Negotiated> {
  const version = await agree(send, address, offered, signal)
  const [capabilities] = await send([query], version, signal)
  // A server may answer Query to nobody: then what it can do shows when it is asked to.
  return { version, ...(capabilities?.ok ? (capabilities.value as ServerCapabilities) : { operations: new Set() }) }
}

/** A server may refuse a header of a version that it does not know, so the question goes out in several. */
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
      } else if (outcome.refusal.reason === resultReason.AuthenticationNotSuccessful) {
        throw loginRefused(address)
      }
    } catch (error) {
      // Some servers answer nothing at all to a header that they cannot read.
      if (!(error instanceof AdapterError) || error.code !== 'BACKEND_UNAVAILABLE' || signal.aborted) throw error
      silence = error
    }
  }
  if (silence !== undefined) throw silence
  throw new ServerUnreachable(NO_ANSWER, `${address} speaks none of KMIP ${offered.join(', ')}`)
}

const loginRefused = (address: string) =>
  new ServerUnreachable(
    LOGIN_REFUSED,
    `${address} says Authentication Not Successful: correct credentials, or the certificate by which it knows this client`,
  )
