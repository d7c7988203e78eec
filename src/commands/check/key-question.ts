import type { KeyAdapter, KeyRef, KeySummary, WrapAlgorithm } from '../../../adapters/contract/index.ts'
import type { BackendConfig } from '../../backends/kinds.ts'

/** A key that a pool lists, or that it has because it has them all. */
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
  readonly kind: BackendConfig['kind']
  /** The configuration file, for commands. */
  readonly config: string
  /** Every key of the backend, where they can be listed. */
  readonly all: readonly KeySummary[] | undefined
  /** References of keys of which the backend says that they could leave it. */
  readonly exposed: ReadonlySet<string>
}

/** A key that can be used, and for which algorithms. */
export interface UsableKey extends WantedKey {
  readonly algorithms: readonly WrapAlgorithm[]
}
