import { randomBytes } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { loadConfig } from '../../src/config/load.ts'
import { generate } from '../../adapters/software/key-material.ts'
import { FaultyAdapter, type Fault } from '../support/faulty-adapter.ts'
import {
  aesKey,
  contosoPool,
  editConfig,
  makeStore,
  startTestGateway,
  type TestGateway,
  type TestKey,
} from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { eventually } from '../support/eventually.ts'

const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')
const DOWN: Fault = { fail: 'BACKEND_UNAVAILABLE' }

let pki: Pki
let other: Workspace
let keys: TestKey[]
let fixture: TestGateway
let first: FaultyAdapter
let second: FaultyAdapter

beforeAll(async () => {
  pki = await makePki()
  keys = [aesKey('aes-1'), { name: 'rsa-1', jwk: await generate({ kty: 'RSA', bits: 2048 }) }]
})
afterEach(async () => {
  await fixture.stop()
  await other.remove()
})

/** A gateway with a second store that holds `standbyKeys`. */
async function start(standbyKeys: readonly TestKey[], atStart: Fault = {}): Promise<void> {
  other = await makeWorkspace()
  await makeStore(other.path('keys'), standbyKeys)
  const software = { kind: 'software', passphrase: { file: 'passphrase' } }
  const entry = { standby: { backend: 'second' } }
  const settings = {
    backend: { ...software, directory: 'keys' },
    backends: { second: { ...software, directory: other.path('keys') } },
    pools: [contosoPool('contoso', { 'aes-1': entry, 'rsa-1': entry })],
  }
  fixture = await startTestGateway(pki, keys, settings, async (backend, report) => {
    const adapter = new FaultyAdapter(await openBackend(backend, report))
    if (backend.kind === 'software' && backend.directory === other.path('keys')) second = adapter
    else {
      first = adapter
      adapter.fault = atStart
    }
    return adapter
  })
}

const call = (operation: string, members: object, key = 'aes-1') =>
  send(fixture.port, pki, {
    path: `/contoso/${key}/${operation}?${API}`,
    body: { request_context: CONTEXT, ...members },
  })
const wrap = (key = 'aes-1', alg = 'A256KW') => call('wrapkey', { alg, value: VALUE }, key)
const unwrap = (value: unknown, key = 'aes-1', alg = 'A256KW') => call('unwrapkey', { alg, value }, key)
const lastRecord = async () => (await fixture.logged('request')).at(-1)
interface Written {
  readonly limits: { deadlineMs: number }
  readonly pools: [{ keys: Record<'aes-1', { standby: { ref?: string } }> }]
}

async function reload(change: (config: Written) => void): Promise<void> {
  const file = await editConfig(fixture.workspace, change)
  const prepared = await fixture.gateway.prepare(loadConfig(file, {}))
  prepared.commit()
}

/** Resolves when both keys of both backends have been examined. */
const proven = () =>
  eventually(() => {
    expect(second.calls.filter((name) => name === 'describe')).toHaveLength(2)
    expect(second.calls).toContain('wrap')
  })

describe('a standby that holds the same keys', () => {
  it('serves while the first backend is down, and the audit record says so', async () => {
    await start(keys)
    await proven()
    const before = await wrap()
    expect(await lastRecord()).toMatchObject({ backend: 'store' })
    expect(await lastRecord()).not.toHaveProperty('standby')
    first.fault = DOWN
    const during = await wrap()
    expect([during.status, during.json]).toEqual([200, before.json])
    expect(await lastRecord()).toMatchObject({ status: 200, backend: 'second', standby: true })
    expect((await unwrap(before.json['value'])).json['value']).toBe(VALUE)
    expect((await call('metadata', {})).status).toBe(200)
    first.fault = {}
    await eventually(async () => {
      await wrap()
      expect(await lastRecord()).toMatchObject({ backend: 'store' })
    })
  })

  it('serves RSA keys too', async () => {
    await start(keys)
    await proven()
    const { value } = (await wrap('rsa-1', 'RSA-OAEP-256')).json
    first.fault = DOWN
    expect((await unwrap(value, 'rsa-1', 'RSA-OAEP-256')).json['value']).toBe(VALUE)
    expect((await call('metadata', {}, 'rsa-1')).status).toBe(200)
  })

  it('is not used because of a refusal', async () => {
    await start(keys)
    await proven()
    second.calls = []
    for (const fail of ['KEY_DISABLED', 'CIPHERTEXT_INVALID', 'OPERATION_FORBIDDEN', 'BACKEND_BUSY'] as const) {
      first.fault = { fail }
      expect((await wrap()).status).not.toBe(200)
    }
    expect(second.calls).toEqual([])
  })

  it('stays proven after a reload if its key is the same', async () => {
    await start(keys)
    await proven()
    first.fault = DOWN
    await reload((config) => (config.limits.deadlineMs = 3000))
    expect((await wrap()).status).toBe(200)
    await reload((config) => (config.pools[0].keys['aes-1'].standby.ref = 'another'))
    expect((await wrap()).status).toBe(502)
  })

  it('leads to 502 if it fails as well', async () => {
    await start(keys)
    await proven()
    first.fault = DOWN
    second.fault = DOWN
    expect((await wrap()).status).toBe(502)
  })

  it('unwraps but does not wrap before it is proven', async () => {
    await start(keys, DOWN)
    await eventually(async () => expect(await fixture.logged('standby_unproven')).toHaveLength(2))
    second.calls = []
    expect((await wrap()).status).toBe(502)
    expect((await call('metadata', {})).status).toBe(502)
    expect(second.calls).toEqual([])
    first.fault = {}
    const { value } = await eventually(async () => {
      const reply = await wrap()
      expect(reply.status).toBe(200)
      return reply.json
    })
    first.fault = DOWN
    expect((await unwrap(value)).json['value']).toBe(VALUE)
  })
})

describe('a standby that holds other keys under the same names', () => {
  it('is never used, and the log says so', async () => {
    await start([aesKey('aes-1', randomBytes(32)), { name: 'rsa-1', jwk: await generate({ kty: 'RSA', bits: 2048 }) }])
    await eventually(async () =>
      expect(await fixture.logged('standby_differs')).toMatchObject([
        { level: 'error', pool: 'contoso', key: 'aes-1' },
        { level: 'error', pool: 'contoso', key: 'rsa-1' },
      ]),
    )
    const { value } = (await wrap()).json
    first.fault = DOWN
    second.calls = []
    for (const reply of [await wrap(), await unwrap(value), await wrap('rsa-1', 'RSA-OAEP')]) {
      expect(reply.status).toBe(502)
    }
    expect(second.calls).toEqual([])
  })
})
