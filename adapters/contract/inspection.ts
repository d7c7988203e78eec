import type { WrapAlgorithm } from './algorithms.ts'
import type { CallContext, KeyRef } from './call.ts'

/** Named scalars for people and automation: `firmware`, `sessions`, …; never a secret. */
export type Facts = Readonly<Record<string, string | number | boolean>>

/** What a backend reports of itself, besides its product. */
export interface BackendFacts {
  readonly fields: Facts
  /** Each server in the operator's order. Undefined if the backend has only one place. */
  readonly servers?: readonly ServerFacts[]
}

export interface ServerFacts {
  readonly address: string
  /** Why the server cannot be used now, in a word or a sentence. Undefined if it answers. */
  readonly unusable?: string
  readonly fields: Facts
}

/** How an algorithm is done with a key, and which ways were rejected. */
export interface WayFound {
  readonly algorithm: WrapAlgorithm
  /** The way, for people. Undefined if no way gives right results; the algorithm is then not served with this key. */
  readonly way?: string
  /** True if the way could not be determined, because the backend was too slow or failed. */
  readonly undecided?: boolean
  /** The longest value in bytes that the way can carry, if that is less than the algorithm allows. */
  readonly maxBytes?: number
  /** True if the way fetches the key-encryption key into the gateway's memory. */
  readonly exported?: boolean
  readonly rejected: readonly RejectedWay[]
}

export interface RejectedWay {
  readonly way: string
  readonly reason: string
}

/**
 * What an operator can ask of an open backend. Requests never use it, and it changes nothing in the backend. It rejects
 * as the calls of a `KeyAdapter` do.
 */
export interface KeyInspection {
  facts(context: CallContext): Promise<BackendFacts>
  /** One row for each algorithm of the key's type. A way that is not known yet is determined now. */
  ways(key: KeyRef, context: CallContext): Promise<readonly WayFound[]>
}
