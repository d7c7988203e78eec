import type { TestKey } from '../contract/harness.ts'

export interface ProvidedBackend {
  /** The backend's section of a gateway's configuration. */
  readonly settings: object
  /** The passphrase or PIN, which no output may contain. */
  readonly secrets: Readonly<Record<string, Uint8Array>>
  remove(): Promise<void>
}

/** A backend as the black-box suite sees it. Missing abilities are stated here and are never skipped tests. */
export interface BackendHarness {
  /** The backend's description in `/info`. */
  readonly product: { readonly vendor: string; readonly name: string }
  /** Whether the backend supports RSA keys. */
  readonly rsa: boolean
  /** The longest wrapped value in bytes that the backend handles in tolerable time; 4096 if absent. */
  readonly longestValue?: number
  readonly canDisable: boolean
  /** The dates that keep a key from all use. */
  readonly dates: readonly ('notBefore' | 'expires')[]
  /** The key states that are refused with `KeyDisabled`. */
  unusable(): Partial<TestKey>
  provide(keys: readonly TestKey[]): Promise<ProvidedBackend>
}
