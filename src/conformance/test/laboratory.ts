import { createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { issue } from '../src/certificates.ts'
import { runConformance, type Report, type RunOptions } from '../src/runner.ts'
import type { ClientIdentity } from '../src/target.ts'
import { CLIENT_CN, makeClient, makePki, type Pki } from './pki.ts'
import { right, type Behaviour, type Key } from './wrong-proxies/behaviour.ts'
import { SimpleProxy, type ProxyParts } from './wrong-proxies/proxy.ts'

const DAY_MS = 24 * 3_600_000

/** Keys and certificates of a test file, and proxies with a given behaviour that serve them. */
export interface Laboratory {
  readonly pki: Pki
  readonly parts: ProxyParts
  readonly refused: ReadonlyMap<string, ClientIdentity>
  /** Runs the suite against a proxy with this behaviour. */
  test(behaviour: Partial<Behaviour>, options?: Partial<RunOptions>, aesKeys?: readonly string[]): Promise<Report>
}

export function makeLaboratory(): Laboratory {
  const pki = makePki()
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const rsa: Key = { kty: 'RSA', privateKey, publicKey: createPublicKey(privateKey), bytes: 256 }
  const aes = (): Key => ({ kty: 'oct', kek: randomBytes(32) })
  const now = Date.now()
  const otherRoot = issue({ commonName: 'another root', usage: 'authority' })
  const parts: ProxyParts = {
    server: pki.server,
    trusted: [pki.clientCa.certificate, otherRoot.certificate],
    allowed: { commonName: CLIENT_CN, root: new X509Certificate(pki.clientCa.certificate) },
    keys: new Map<string, Key>([
      ['aes-1', aes()],
      ['aes-2', aes()],
      ['rsa-1', rsa],
      ['off', { ...aes(), disabled: true }],
    ]),
  }
  // Each client differs from the right one in one respect.
  const refused = new Map<string, ClientIdentity>([
    ['another name', makeClient(pki.clientCa, { commonName: 'fabrikam.managedhsmclient.azure.net' })],
    ['another root', makeClient(otherRoot)],
    ['expired', makeClient(pki.clientCa, { notBefore: new Date(now - DAY_MS), notAfter: new Date(now - 1000) })],
  ])
  return {
    pki,
    parts,
    refused,
    test: async (behaviour, options = {}, aesKeys = ['aes-1', 'aes-2']) => {
      const proxy = new SimpleProxy({ ...right, ...behaviour }, parts)
      const port = await proxy.listen()
      const target = {
        host: 'localhost',
        port,
        prefix: 'azureekm/contoso',
        ca: pki.serverCa.certificate,
        client: pki.client,
        aesKeys,
        rsaKeys: ['rsa-1'],
        disabledKeys: ['off'],
        refused,
      }
      try {
        return await runConformance({ target, load: { rate: 100, seconds: 1, connections: 4 }, ...options })
      } finally {
        proxy.close()
      }
    },
  }
}
