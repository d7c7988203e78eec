import { afterEach, beforeEach, expect, it } from 'vitest'
import { AdapterError, type AdapterErrorCode, type KeyAdapter, type KeyRef } from '../../adapters/contract/index.ts'
import { AllowList } from '../../src/ekm/allow-list.ts'
import { Backend } from '../../src/ekm/backend/backend.ts'
import { PoolFlows } from '../../src/ekm/backend/flow.ts'
import { Pool } from '../../src/ekm/pool.ts'
import { BackendKey, PooledKey } from '../../src/ekm/pooled-key.ts'
import { Examination, listedKeys } from '../../src/gateway/pools.ts'
import type { Log, LogFields } from '../../src/telemetry/log.ts'
import { eventually } from '../support/eventually.ts'

const quiet = () => undefined
let told: [string, LogFields | undefined][]
let failure: AdapterErrorCode | undefined
let backend: Backend
let pool: Pool
let examination: Examination

beforeEach(() => {
  told = []
  failure = undefined
  const adapter: KeyAdapter = {
    product: { vendor: 'a test', name: 'keys' },
    describe: async (key) => {
      if (failure !== undefined && key === 'one') throw new AdapterError(failure, 'a fault of the test')
      return { kty: 'oct', bits: 256 }
    },
    wrap: async () => new Uint8Array(),
    unwrap: async () => new Uint8Array(),
    probe: async () => undefined,
    close: async () => undefined,
  }
  const observer = { called: quiet, rejected: quiet, changed: quiet, keyChanged: quiet }
  backend = new Backend({ name: 'hsm', adapter, concurrency: 4, queue: 4, keyCacheMs: 0, observer })
  const key = (name: string) => new PooledKey(new BackendKey(backend, name as KeyRef, new PoolFlows()))
  pool = new Pool({
    name: 'contoso',
    pathPrefix: '',
    clients: new AllowList([]),
    info: { proxyVendor: '', proxyName: '', ekmVendor: '', ekmProduct: '' },
    backend,
    keys: new Map(['one', 'other'].map((name) => [name, key(name)])),
  })
  const note = (event: string, fields?: LogFields) => void told.push([event, fields])
  const log: Log = {
    error: note,
    warn: note,
    info: note,
    debug: note,
    always: note,
    dropped: 0,
    lost: 0,
    close: async () => undefined,
  }
  examination = new Examination([pool], log, 20)
})
afterEach(() => {
  examination.stop()
  backend.stop()
})

const usable = () => listedKeys([pool])[0]?.usable
const becomes = (count: number) => eventually(() => expect(usable()).toBe(count))

it('a listed key that becomes unusable is noticed without a request, logged once, and noticed when it is back', async () => {
  await examination.looked
  expect(listedKeys([pool])).toEqual([{ pool: 'contoso', listed: 2, usable: 2, unproven: 0, different: 0 }])
  failure = 'KEY_DISABLED'
  await becomes(1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(told).toEqual([['key_unusable', { pool: 'contoso', key: 'one', reason: 'KEY_DISABLED', detail: undefined }]])
  failure = undefined
  await becomes(2)
})

it('a busy backend proves nothing about its keys', async () => {
  await examination.looked
  failure = 'BACKEND_BUSY'
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect([usable(), told]).toEqual([2, []])
})
