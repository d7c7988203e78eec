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

/** A key that the backend is to hold before its adapter is opened. */
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
  /** How this backend's configuration would name the key `name`, which need not exist. */
  ref(name: string): KeyRef
  /** Closes the adapter if it is open and removes what `start` made. */
  stop(): Promise<void>
}

/** A backend as the contract's suite sees it. What a backend does not have is said here and is never a skipped test. */
export interface AdapterHarness {
  readonly name: string
  /** What the adapter does right on this backend; it must refuse every other with `ALGORITHM_UNSUPPORTED`. */
  readonly algorithms: readonly WrapAlgorithm[]
  /** The sizes of RSA key that it can hold, 2048 among them; all if absent. */
  readonly rsaSizes?: readonly RsaBits[]
  /** The longest data key that the backend takes a tolerable time for, in bytes; 4096 if absent. */
  readonly longestDataKey?: number
  /** Whether a key can be disabled without removing it. */
  readonly canDisable: boolean
  /** Which of a key's dates the backend keeps. */
  readonly dates: readonly ('notBefore' | 'expires')[]
  start(keys: readonly TestKey[]): Promise<StartedAdapter>
}
