import { X509Certificate, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { catalogue, runConformance, type CaseResult, type ClientIdentity } from '../../src/conformance/src/index.ts'
import type { TestKey } from '../contract/harness.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { startTestGateway } from '../support/gateway.ts'
import { CLIENT_CN, issue, makeClient, makePki, yesterday, type Authority, type Pki } from '../support/pki.ts'
import type { BackendHarness } from './harness.ts'

/** The gateway never throttles here. */
const NOT_RUN = ['throttle.code', 'throttle.retry-after']
const sizes = [2048, 3072, 4096] as const

/** The whole catalogue of `ekm-gateway conformance`, with every optional client, on a gateway with any backend. */
export function describeConformance(harness: BackendHarness): void {
  describe('the gateway keeps the conformance case', () => {
    const results = new Map<string, CaseResult>()

    beforeAll(async () => {
      const pki = await makePki()
      const otherRoot = await issue({ commonName: 'another root', usage: 'authority' })
      const aes = (name: string): TestKey => ({ name, material: { kty: 'oct', k: randomBytes(32) } })
      const keys = [aes('aes-1'), aes('aes-2'), { ...aes('off'), ...harness.unusable() }]
      for (const bits of sizes) {
        keys.push({ name: `rsa-${bits}`, material: { kty: 'RSA', bits, jwk: await rsaKey(bits) } })
      }
      const backend = await harness.provide(keys)
      const pool = { backend: 'store', keys: 'all' }
      const gateway = await startTestGateway(pki, [], {
        backend: backend.settings,
        pools: [
          {
            ...pool,
            name: 'contoso',
            pathPrefix: 'azureekm/contoso',
            clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
          },
          // This pool trusts another root, so that the pair of name and root is tested.
          {
            ...pool,
            name: 'fabrikam',
            pathPrefix: 'azureekm/fabrikam',
            clients: [{ azureCertificate: 'fabrikam.json' }],
          },
        ],
        files: {
          'fabrikam.json': JSON.stringify({
            subjectCommonName: CLIENT_CN,
            caCertificates: [new X509Certificate(otherRoot.certificate).raw.toString('base64')],
          }),
        },
      })
      const report = await runConformance({
        target: {
          host: 'localhost',
          port: gateway.port,
          prefix: 'azureekm/contoso',
          ca: pki.serverCa.certificate,
          client: pki.client,
          aesKeys: ['aes-1', 'aes-2'],
          rsaKeys: sizes.map((bits) => `rsa-${bits}`),
          disabledKeys: ['off'],
          refused: await refusedClients(pki, otherRoot),
        },
        load: { rate: 50, seconds: 1, connections: 2 },
      })
      for (const result of report.results) results.set(result.id, result)
      await gateway.stop()
      await backend.remove()
    }, 120_000)

    afterAll(() => expect(results.size).toBe(catalogue.length))

    it.each(catalogue)('$id: $title', ({ id }) => {
      const { outcome, last } = results.get(id) ?? {}
      expect({ outcome, last: outcome === 'failed' ? last : undefined }).toEqual({
        outcome: NOT_RUN.includes(id) ? 'not run' : 'passed',
        last: undefined,
      })
    })
  })
}

/** Each client differs from the right one in one respect. */
async function refusedClients({ clientCa }: Pki, otherRoot: Authority): Promise<ReadonlyMap<string, ClientIdentity>> {
  return new Map([
    ['another name', await makeClient(clientCa, { commonName: 'fabrikam.managedhsmclient.azure.net' })],
    ['another root', await makeClient(otherRoot)],
    ['expired', await makeClient(clientCa, { notBefore: yesterday(), notAfter: new Date(Date.now() - 1000) })],
  ])
}
