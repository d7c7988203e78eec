import type { WrapAlgorithm } from './algorithms.ts'
import type { CallContext, KeyRef } from './call.ts'

/** Named scalars for people and automation: `firmware`, `sessions`, …; never a secret. */
export type Facts = Readonly<Record<string, string | number | boolean>>

/** What a backend says of itself, beyond its product. */
export interface BackendFacts {
  readonly fields: Facts
  /** Each server, in the operator's order, where the backend has several places to go to. */
  readonly servers?: readonly ServerFacts[]
}

export interface ServerFacts {
  readonly address: string
  /** Why it cannot be used now, in a word or a sentence; absent if it answers. */
  readonly unusable?: string
  readonly fields: Facts
}

/** How one algorithm is done on one key, and what was tried before. */
export interface WayFound {
  readonly algorithm: WrapAlgorithm
  /** For people; absent where no way gives right results, so that the algorithm is not served on this key. */
  readonly way?: string
  /** It could not be found out, by no fault that is known of the backend's ways: it was too slow, or it failed. */
  readonly undecided?: boolean
  /** The longest value that the way carries, where that is less than the algorithm allows. */
  readonly maxBytes?: number
  /** The key-encryption key itself is fetched into the gateway's memory for it. */
  readonly exported?: boolean
  readonly rejected: readonly RejectedWay[]
}

export interface RejectedWay {
  readonly way: string
  readonly reason: string
}

/**
 * What an operator can ask of an open backend; requests never reach it. It changes nothing in the backend. Rejects as the
 * calls of a `KeyAdapter` do.
 */
export interface KeyInspection {
  facts(context: CallContext): Promise<BackendFacts>
  /** One row for each algorithm of the key's type, worked out now if need be. */
  ways(key: KeyRef, context: CallContext): Promise<readonly WayFound[]>
}
