import { afterAll, vi } from 'vitest'
import { wrapAlgorithms, type KeyRef, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { open, type KmipOptions } from '../../adapters/kmip/index.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { registerKey } from '../kmip/register.ts'
import { versionTwoReasons, type Behaviour } from '../kmip/server/behaviour.ts'
import { startTestServer } from '../kmip/test-server.ts'
import { secret } from '../software/fixtures.ts'
import { describeAdapter } from './suite.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

interface Variant {
  readonly name: string
  readonly behaviour?: Partial<Behaviour>
  readonly options?: Partial<KmipOptions>
  readonly algorithms?: readonly WrapAlgorithm[]
}

const PASSWORD = 'correct horse battery staple'

/** One server of each known or plausible kind. */
const variants: readonly Variant[] = [
  { name: 'native modes, KMIP 2.1' },
  {
    name: 'native modes, KMIP 1.4, X.509 public keys',
    options: { protocol: '1.4' },
    behaviour: { publicFormat: 'X509' },
  },
  {
    name: 'single blocks without padding, no links, transparent public keys, the reasons of KMIP 2.1',
    behaviour: { keyWrap: 'none', links: false, publicFormat: 'transparent', reasons: versionTwoReasons },
  },
  {
    name: 'a key wrap mode that is another one, user name and password',
    behaviour: { keyWrap: 'swapped', credentials: { username: 'ekm', password: PASSWORD } },
    options: { credentials: { username: 'ekm', password: secret(PASSWORD) } },
  },
  {
    name: 'keys that can only be fetched, and the permission to',
    behaviour: { keyWrap: 'none', ecb: 'none', oaep: false, exports: true },
    options: { keyAccess: 'export' },
  },
  {
    name: 'KMIP 1.2 and SHA-1 as the hash of MGF1 unless it is stated, which it cannot be',
    behaviour: { versions: ['1.2'], defaultMgfHash: 4 },
    algorithms: ['A256KW', 'A256KWP', 'RSA-OAEP'],
  },
]

for (const { name, behaviour, options = {}, algorithms = wrapAlgorithms } of variants) {
  const { server, options: serverOptions } = await startTestServer(behaviour)
  let starts = 0
  afterAll(() => server.stop())

  describeAdapter({
    name: `a KMIP server with ${name}`,
    algorithms,
    canDisable: true,
    // A key past its Deactivation Date may still unwrap, so that the suite does not count it as expired.
    dates: ['notBefore'],
    start: async (keys) => {
      const prefix = `${(starts += 1)}-`
      const all = { ...serverOptions, ...options }
      const cluster = new KmipCluster(all, () => undefined)
      for (const key of keys) await registerKey(cluster, prefix + key.name, key, 'revoke')
      cluster.close()
      const adapter = await open(all, () => undefined)
      return { adapter, ref: (key) => (prefix + key) as KeyRef, stop: () => adapter.close() }
    },
  })
}
