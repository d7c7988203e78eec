import type { Secret } from '../contract/index.ts'

export interface SoftwareOptions {
  /** Absolute path of the store's directory. */
  readonly directory: string
  readonly passphrase: Secret
}
