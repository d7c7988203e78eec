import type { KeyAdapter, KeyRef, KeySummary, WrapAlgorithm } from '../../../adapters/contract/index.ts'
import type { BackendConfig } from '../../backends/index.ts'
import type { BackendRow } from '../../backends/row.ts'

/** A key that a pool lists, or has because it has all keys. */
export interface WantedKey {
  /** `pool/key`. */
  readonly subject: string
  /** The external key id. */
  readonly name: string
  readonly ref: KeyRef
}

export interface KeyQuestion {
  readonly adapter: KeyAdapter
  readonly backend: string
  readonly row: BackendRow<BackendConfig>
  /** The configuration file, for commands. */
  readonly config: string
  /** Every key of the backend. Undefined if they cannot be listed. */
  readonly all: readonly KeySummary[] | undefined
  /** References of keys that could leave the backend, according to the backend. */
  readonly exposed: ReadonlySet<string>
}

/** A key that can be used, and its algorithms. */
export interface UsableKey extends WantedKey {
  readonly algorithms: readonly WrapAlgorithm[]
}
