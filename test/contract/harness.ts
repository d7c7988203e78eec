import type { KeyAdapter, KeyRef, RsaBits, WrapAlgorithm } from '../../adapters/contract/index.ts'

/** RFC 7518 §6.3, with every two-prime member. */
export interface RsaPrivateJwk {
  readonly kty: 'RSA'
  readonly n: string
  readonly e: string
  readonly d: string
  readonly p: string
  readonly q: string
  readonly dp: string
  readonly dq: string
  readonly qi: string
}

export type TestKeyMaterial =
  | { readonly kty: 'oct'; readonly k: Uint8Array }
  | { readonly kty: 'RSA'; readonly bits: RsaBits; readonly jwk: RsaPrivateJwk }

/** A key that the backend must hold before its adapter is opened. */
export interface TestKey {
  /** A legal external key id. */
  readonly name: string
  readonly material: TestKeyMaterial
  readonly disabled?: true
  readonly notBefore?: Date
  readonly expires?: Date
}

export interface StartedAdapter {
  readonly adapter: KeyAdapter
  /** The reference of the key `name` in this backend's configuration. The key need not exist. */
  ref(name: string): KeyRef
  /** Closes the adapter if it is open, and removes what `start` made. */
  stop(): Promise<void>
}

/** A backend as the contract's suite sees it. Missing abilities are stated here and are never skipped tests. */
export interface AdapterHarness {
  readonly name: string
  /** The algorithms that the adapter supports here. It must refuse all others with `ALGORITHM_UNSUPPORTED`. */
  readonly algorithms: readonly WrapAlgorithm[]
  /** The RSA key sizes that the backend supports, including 2048; all if absent. */
  readonly rsaSizes?: readonly RsaBits[]
  /** The longest data key in bytes that the backend handles in tolerable time; 4096 if absent. */
  readonly longestDataKey?: number
  /** The distance between single flipped bits in a wrapped data key; 1 if absent. */
  readonly bitsBetweenFlips?: number
  /** Whether a key can be disabled without removing it. */
  readonly canDisable: boolean
  /** The key dates that the backend keeps. */
  readonly dates: readonly ('notBefore' | 'expires')[]
  start(keys: readonly TestKey[]): Promise<StartedAdapter>
}
