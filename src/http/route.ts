import type * as v from 'valibot'
import type { Pool } from '../ekm/pool.ts'
import type { Exchange } from './exchange.ts'
import type { contextBody } from './wire.ts'

/** The schema of a body: it has at least the `request_context` of every call. */
type BodySchema = v.GenericSchema<unknown, v.InferOutput<typeof contextBody>>

/** One operation of the EKM Proxy API. Each is a POST of a JSON object that is answered with another. */
export interface Route<Schema extends BodySchema = BodySchema> {
  readonly operation: 'info' | 'metadata' | 'wrapkey' | 'unwrapkey'
  readonly takesKey: boolean
  readonly body: Schema
  /** The JSON of the reply to a well-formed request. `keyName` is legal; it is empty if the operation takes no key. */
  answer(pool: Pool, keyName: string, body: v.InferOutput<Schema>, exchange: Exchange): Promise<string>
}
