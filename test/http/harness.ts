import type { TestKey } from '../contract/harness.ts'

export interface ProvidedBackend {
  /** The backend's section of a gateway's configuration. */
  readonly settings: object
  /** The passphrase or PIN, to see that it is never emitted. */
  readonly secrets: Readonly<Record<string, Uint8Array>>
  remove(): Promise<void>
}

/** A backend as the black-box suite sees it. What a backend does not have is said here and is never a skipped test. */
export interface BackendHarness {
  /** What it says of itself in `/info`. */
  readonly product: { readonly vendor: string; readonly name: string }
  /** Whether it can use RSA keys. */
  readonly rsa: boolean
  /** The longest wrapped value that it takes a tolerable time for, in bytes; 4096 if absent. */
  readonly longestValue?: number
  readonly canDisable: boolean
  /** Which dates of a key keep it from being used at all. */
  readonly dates: readonly ('notBefore' | 'expires')[]
  /** What makes a key one that is refused with `KeyDisabled`. */
  unusable(): Partial<TestKey>
  provide(keys: readonly TestKey[]): Promise<ProvidedBackend>
}
