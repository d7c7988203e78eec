import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { aes256, kw, kwp } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send } from '../support/https.ts'
import { exchangeBlocks } from './bare-exchanges.ts'
import { startPyKmip, type PyKmip } from './pykmip.ts'
import { activateIfNeeded, registerAes, registerRsa } from './register.ts'
import { kmipSection } from './support/backend-section.ts'
import { eventually } from '../support/eventually.ts'

const BASE = '/azureekm/contoso'
const kek = randomBytes(32)
const dek = randomBytes(32)
const b64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

describe('a gateway on a real PyKMIP server, over HTTPS', () => {
  let kmip: PyKmip
  let fixture: TestGateway
  let agent: ReturnType<typeof makeAgent>

  beforeAll(async () => {
    kmip = await startPyKmip()
    const cluster = new KmipCluster(kmip.options, () => undefined)
    const aesId = await registerAes(cluster, kek, { name: 'aes-1' })
    await activateIfNeeded(cluster, aesId)
    await registerAes(cluster, kek, { name: 'not-active' })
    const { privateKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'rsa-1' })
    await activateIfNeeded(cluster, privateKeyId)
    const blocksMs = await exchangeBlocks(cluster, aesId)
    cluster.close()
    fixture = await startTestGateway(kmip.pki, [], {
      // Azure's deadline, unless the bare exchanges of a wrap take more than a quarter of it on this busy machine.
      limits: { deadlineMs: Math.max(200, Math.ceil(4 * blocksMs)) },
      ...kmipSection(kmip.options, 4),
    })
    agent = makeAgent(kmip.pki)
  }, 120_000)

  afterAll(async () => {
    agent.destroy()
    await fixture.stop()
    await kmip.stop()
  })

  const post = (operation: string, members: object = {}) =>
    send(fixture.port, kmip.pki, {
      agent,
      path: `${BASE}/${operation}?${API}`,
      body: { request_context: CONTEXT, ...members },
    })
  const crypt = (operation: string, alg: string, value: Uint8Array, key = 'aes-1') =>
    post(`${key}/${operation}`, { alg, value: b64(value) })

  it('names the key manager in info', async () => {
    const { json } = await post('info')
    expect(json).toMatchObject({ ekm_vendor: 'PyKMIP 0.10.0 Software Server', ekm_product: 'KMIP key manager' })
  })

  it('describes its keys', async () => {
    const described = (key: string) =>
      eventually(async () => {
        const reply = await post(`${key}/metadata`)
        expect(reply.status).toBe(200)
        return reply
      })
    const aes = await described('aes-1')
    expect(aes.json).toMatchObject({ key_type: 'oct', key_size: 256 })
    const rsa = await described('rsa-1')
    expect(rsa.json).toMatchObject({ key_type: 'RSA', key_size: 2048, n: (await rsaKey(2048)).n })
  })

  it('wraps and unwraps in Azure’s time, once the key has been qualified', async () => {
    for (const [alg, reference] of [
      ['A256KW', kw],
      ['A256KWP', kwp],
    ] as const) {
      // The first call qualifies the key, which may take longer than Azure waits. Azure then calls again.
      await expect.poll(async () => (await crypt('wrapkey', alg, dek)).status).toBe(200)
      // A wrap takes 24 round trips in sequence. On a busy machine not each call is in time.
      const wrapped = reference(aes256(kek), dek)
      const value = async (operation: string, bytes: Uint8Array) => (await crypt(operation, alg, bytes)).json['value']
      await expect.poll(() => value('wrapkey', dek)).toBe(b64(wrapped))
      await expect.poll(() => value('unwrapkey', wrapped)).toBe(b64(dek))
    }
  })

  it.each([
    {
      what: 'a value that does not unwrap',
      call: () => crypt('unwrapkey', 'A256KW', randomBytes(40)),
      status: 400,
      code: 'BadRequest',
    },
    {
      what: 'a key that is not active',
      call: () => crypt('wrapkey', 'A256KW', dek, 'not-active'),
      status: 403,
      code: 'KeyDisabled',
    },
    {
      what: 'a key that is not there',
      call: () => crypt('wrapkey', 'A256KW', dek, 'absent'),
      status: 404,
      code: 'KeyNotFound',
    },
  ])('answers $status for $what', async ({ call, status, code }) => {
    // A machine that is busy enough answers nothing in time.
    await expect.poll(call).toMatchObject({ status, json: { code } })
  })

  it('logs no secret', async () => {
    const log = await fixture.logText()
    for (const secret of [kek, dek]) {
      for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
        expect(log.includes(Buffer.from(secret).toString(encoding))).toBe(false)
      }
    }
    expect(log).toContain('kmip_way')
  })

  it('answers 502 while the server is away, and serves when it is back', async () => {
    await kmip.kill()
    await expect.poll(async () => (await crypt('wrapkey', 'A256KW', dek)).status).toBe(502)
    await kmip.restart()
    await expect.poll(async () => (await crypt('wrapkey', 'A256KW', dek)).status, { timeout: 30_000 }).toBe(200)
  })
})
