import { expect, it } from 'vitest'
import { auditText } from '../../src/telemetry/audit-text.ts'
import type { AuditRecord } from '../../src/telemetry/audit-record.ts'
import { membersOf } from '../../src/telemetry/members.ts'

const texts = [
  '',
  'wrapkey',
  'a"b',
  'back\\slash',
  'line\nbreak',
  '\u007f',
  'é',
  '\ud800 alone',
  '\u2028',
  '\u009b31m',
  '\u202e',
  '{"a":1}',
]
const numbers = [0, 0.001, 32, 1e-7, 12345.678]
const success: AuditRecord = {
  pool: 'payments',
  operation: 'wrapkey',
  key: 'aes',
  algorithm: 'A256KW',
  payload_bytes: 32,
  status: 200,
  code: 'OK',
  backend: 'hsm',
  total_ms: 1.25,
  backend_ms: 0.5,
  request_id: 'r-1',
  correlation_id: 'c-1',
  pool_name: 'contoso',
}
const members = Object.keys(success) as (keyof AuditRecord)[]
const unusual: Partial<AuditRecord>[] = [
  { message: 'no' },
  { path: '/a' },
  { reason: 'CLOSED' },
  { detail: 5 },
  { standby: true },
]

/** Records with every value of each member, with the same success between them. */
function* records(): Generator<AuditRecord> {
  for (const member of members) {
    const values = typeof success[member] === 'number' ? numbers : texts
    for (const value of values) {
      yield success
      yield { ...success, [member]: value }
    }
    if (member === 'status' || member === 'code' || member === 'total_ms') continue
    yield { ...success, [member]: undefined }
  }
  for (const members of unusual) yield { ...success, ...members }
}

it('the text of a record is the JSON of a record, whatever the one before it was', () => {
  let count = 0
  for (const record of records()) {
    expect(JSON.parse(`{${auditText(record)}}`), JSON.stringify(record)).toEqual(JSON.parse(`{${membersOf(record)}}`))
    count += 1
  }
  expect(count).toBeGreaterThan(200)
})

it('a record takes one line, in which line breaks are escaped', () => {
  for (const record of records()) expect(auditText(record)).not.toMatch(/[\n\r]/)
})
