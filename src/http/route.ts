import type * as v from 'valibot'
import type { Pool } from '../ekm/pool.ts'
import type { Exchange } from './exchange.ts'
import type { contextBody } from './wire.ts'

/** A body that has, besides whatever else, the `request_context` of every call. */
type BodySchema = v.GenericSchema<unknown, v.InferOutput<typeof contextBody>>

/** One operation of the EKM Proxy API: all of them are a POST of a JSON object that is answered with another. */
export interface Route<Schema extends BodySchema = BodySchema> {
  readonly operation: 'info' | 'metadata' | 'wrapkey' | 'unwrapkey'
  readonly takesKey: boolean
  readonly body: Schema
  /** The reply's JSON to a request that was found well-formed; `keyName` is legal, and empty where none is taken. */
  answer(pool: Pool, keyName: string, body: v.InferOutput<Schema>, exchange: Exchange): Promise<string>
}
