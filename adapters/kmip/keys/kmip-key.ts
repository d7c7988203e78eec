import type { KeyDescription } from '../../contract/index.ts'
import type { ObjectAttributes } from '../protocol/attributes.ts'

/** A key as the server described it a moment ago. */
export interface KmipKey {
  /** Unique identifier of the symmetric or private key. */
  readonly id: string
  readonly attributes: ObjectAttributes
  readonly description: KeyDescription
}
