import { randomBytes } from 'node:crypto'
import { openConnections } from '../bench/load.ts'
import type { HttpConnection } from '../bench/http-connection.ts'
import { makeCall, makePair, makeRequest, type Call } from '../bench/request.ts'
import type { RsaPrivateJwk } from '../contract/harness.ts'
import { aes256, kw, oaepWrap } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { startTestGateway, type Settings, type TestGateway, type TestKey } from '../support/gateway.ts'
import { CLIENT_CN, makePki } from '../support/pki.ts'
import { targetOf } from '../support/steady-stream.ts'

/** The streams of requests during a fault. */
export const streams = ['touched', 'other key', 'other pool', 'other backend'] as const
export type Stream = (typeof streams)[number]

/** A gateway with a backend that will fail, and the calls for it. */
export interface Site extends AsyncDisposable {
  readonly gateway: TestGateway
  readonly adminPort: number
  /** Connections of each stream, which stay open from fault to fault. */
  readonly connections: Readonly<Record<Stream, readonly HttpConnection[]>>
  readonly keys: SiteKeys
  readonly calls: SiteCalls
}

export interface SiteCalls {
  readonly aes: readonly Call[]
  readonly rsa: readonly Call[]
  /** Damaged AES values. Each call has its one right answer. */
  readonly damaged: readonly Call[]
  readonly others: Readonly<Record<Exclude<Stream, 'touched'>, readonly Call[]>>
}

export const BACKEND = 'sick'
/** The pools: the failing backend with all keys, the same backend with one key, and another backend. */
export const pools = ['here', 'beside', 'elsewhere'] as const

/** The keys of the failing backend. */
export interface SiteKeys {
  readonly touched: Uint8Array
  readonly other: Uint8Array
  readonly rsa: RsaPrivateJwk
}

export const makeKeys = async (): Promise<SiteKeys> => ({
  touched: randomBytes(32),
  other: randomBytes(32),
  rsa: await rsaKey(2048),
})

/** With Azure's 200 ms the test would measure how busy the machine is with other tests. */
const DEADLINE_MS = 500
const CONNECTIONS = 16

interface SiteOptions {
  readonly keys: SiteKeys
  /** The section of the failing backend, which has `touched`, `other` and `rsa`. */
  readonly backend: object
  readonly files?: Settings['files']
  readonly deadlineMs?: number
  readonly open?: Parameters<typeof startTestGateway>[3]
}

export async function startSite({ keys, backend, files, deadlineMs = DEADLINE_MS, open }: SiteOptions) {
  const pki = await makePki()
  const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }]
  const pool = (name: string, of: string, ...names: string[]) => ({
    name,
    pathPrefix: name,
    clients,
    backend: of,
    keys: Object.fromEntries(names.map((key) => [key, {}])),
  })
  const settings = {
    admin: { port: 0 },
    limits: { deadlineMs },
    backends: { [BACKEND]: backend },
    pools: [
      pool('here', BACKEND, 'touched', 'other', 'rsa'),
      pool('beside', BACKEND, 'other'),
      pool('elsewhere', 'store', 'stored'),
    ],
    ...(files && { files }),
  }
  const stored = randomBytes(32)
  const storedKey: TestKey = { name: 'stored', jwk: { kty: 'oct', k: stored.toString('base64url') } }
  const gateway = await startTestGateway(pki, [storedKey], settings, open)
  const target = targetOf(gateway.port, pki)
  const connect = () => openConnections(target, CONNECTIONS)
  const connections = {
    touched: await connect(),
    'other key': await connect(),
    'other pool': await connect(),
    'other backend': await connect(),
  }
  return {
    gateway,
    adminPort: gateway.adminPort ?? 0,
    connections,
    keys,
    calls: callsOf(keys, stored),
    close: async () => {
      for (const connection of Object.values(connections).flat()) connection.close()
      await gateway.stop()
    },
  }
}

/** The metadata of an AES key by the API. */
const AES_METADATA = JSON.stringify({ key_type: 'oct', key_size: 256, key_ops: ['wrapKey', 'unwrapKey'] })

function callsOf({ touched, other, rsa }: SiteKeys, stored: Uint8Array): SiteCalls {
  const dek = randomBytes(32)
  const alg = 'A256KW'
  const all = (pathPrefix: string, key: string, kek: Uint8Array): readonly Call[] => [
    ...makePair({ pathPrefix, key, alg }, dek, kw(aes256(kek), dek)),
    { request: makeRequest(`${pathPrefix}/${key}/metadata`), body: AES_METADATA },
  ]
  const rsaCall = makeCall({
    pathPrefix: 'here',
    key: 'rsa',
    alg: 'RSA-OAEP-256',
    operation: 'unwrapkey',
    value: oaepWrap(rsa, 'sha256', dek),
    result: dek,
  })
  const good = kw(aes256(touched), dek)
  const damaged = Uint8Array.from(good, (byte, index) => (index === 9 ? byte ^ 1 : byte))
  return {
    aes: all('here', 'touched', touched),
    rsa: [rsaCall],
    damaged: [
      makeCall({ pathPrefix: 'here', key: 'touched', alg, operation: 'unwrapkey', value: damaged, result: dek }),
    ],
    others: {
      'other key': all('here', 'other', other),
      'other pool': all('beside', 'other', other),
      'other backend': all('elsewhere', 'stored', stored),
    },
  }
}
