import type { Secret } from '../../../adapters/contract/index.ts'

export interface TransitOptions {
  /** `http://`, host and port, without a path. */
  readonly address: string
  readonly token: Secret
  /** The most connections to the service. */
  readonly connections: number
}
