import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import type { AuditRecord } from '../../src/telemetry/audit-record.ts'
import { openLog } from '../../src/telemetry/log.ts'
import { makeWorkspace } from '../support/workspace.ts'

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

/** What the log has of the records. */
async function written(): Promise<string> {
  const workspace = await makeWorkspace()
  const destination = workspace.path('log')
  const log = await openLog({ level: 'error', destination })
  for (const record of records()) log.always('request', record)
  await log.close()
  const text = await readFile(destination, 'utf8')
  await workspace.remove()
  return text
}

it('the text of a record is the JSON of a record, whatever the one before it was', async () => {
  const lines = (await written()).trimEnd().split('\n')
  const all = [...records()]
  expect(all.length).toBeGreaterThan(200)
  for (const [index, record] of all.entries()) {
    const { level, time, event, ...members } = JSON.parse(lines[index] ?? '') as Record<string, unknown>
    expect(members, JSON.stringify(record)).toEqual(JSON.parse(JSON.stringify(record)))
    expect([level, typeof time, event]).toEqual(['info', 'string', 'request'])
  }
})

it('a record takes one line, in which line breaks are escaped', async () => {
  const text = await written()
  expect(text).not.toContain('\r')
  expect(text.match(/\n/g)).toHaveLength([...records()].length)
})
