import { visible } from '../base/visible.ts'
import type { AuditRecord } from './audit-record.ts'
import { membersOf } from './members.ts'

/** The members that rarely change between two successes of a client, and the members that do. */
type Repeated = 'pool' | 'operation' | 'key' | 'algorithm' | 'status' | 'code' | 'backend' | 'pool_name'
type Own = 'payload_bytes' | 'total_ms' | 'backend_ms' | 'request_id' | 'correlation_id'
/** Members that no ordinary success has. */
type Unusual = 'message' | 'path' | 'reason' | 'detail' | 'standby'

/** An audit record whose members are all listed here, so that none is missing in the text. */
type Complete = Exclude<keyof AuditRecord, Repeated | Own | Unusual> extends never ? AuditRecord : never

let last: Complete | undefined
let lastText = ''

/**
 * A record's JSON without its braces, equal to {@link membersOf}. It reuses the text of the previous record for
 * unchanged members, which takes a third of the time; `JSON.stringify` takes half as long as a key wrap.
 */
export function auditText(record: Complete): string {
  if (isUnusual(record)) return membersOf(record)
  if (last === undefined || !repeats(record, last)) {
    const { pool, operation, key, algorithm, status, code, backend, pool_name } = record
    last = record
    lastText = membersOf({ pool, operation, key, algorithm, status, code, backend, pool_name })
  }
  const { payload_bytes, total_ms, backend_ms, request_id, correlation_id } = record
  return (
    lastText +
    (payload_bytes === undefined ? '' : `,"payload_bytes":${payload_bytes}`) +
    `,"total_ms":${total_ms}` +
    (backend_ms === undefined ? '' : `,"backend_ms":${backend_ms}`) +
    (request_id === undefined ? '' : `,"request_id":${quoted(request_id)}`) +
    (correlation_id === undefined ? '' : `,"correlation_id":${quoted(correlation_id)}`)
  )
}

const isUnusual = ({ message, path, reason, detail, standby }: Complete): boolean =>
  message !== undefined || path !== undefined || reason !== undefined || detail !== undefined || standby !== undefined

const repeats = (one: Complete, other: Complete): boolean =>
  one.pool === other.pool &&
  one.operation === other.operation &&
  one.key === other.key &&
  one.algorithm === other.algorithm &&
  one.status === other.status &&
  one.code === other.code &&
  one.backend === other.backend &&
  one.pool_name === other.pool_name

/** Text that needs no escaping. */
const PLAIN = /^[ !#-[\]-~]*$/

const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : visible(JSON.stringify(text)))
