import { afterAll, describe, vi } from 'vitest'
import type { KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/kmip/index.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { startPyKmip } from '../kmip/pykmip.ts'
import { registerKey } from '../kmip/register.ts'
import { describeAdapter } from './suite.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

const server = await startPyKmip()
let starts = 0

describe.each(['1.2', '2.0'] as const)('PyKMIP over KMIP %s', (protocol) => {
  afterAll(async () => {
    if (protocol === '2.0') await server.stop()
  })

  describeAdapter({
    name: `a real PyKMIP server, spoken to in KMIP ${protocol}`,
    // PyKMIP refuses to use an RSA key.
    algorithms: ['A256KW', 'A256KWP'],
    // A call takes about 3 ms, and 4096 bytes need 3072 calls in sequence for RFC 3394.
    longestDataKey: protocol === '2.0' ? 128 : 40,
    // One bit of each byte, at each place in a byte. The test server that offers single blocks is asked every bit.
    bitsBetweenFlips: 7,
    canDisable: true,
    dates: [],
    start: async (keys) => {
      const prefix = `${protocol}-${(starts += 1)}-`
      const options = { ...server.options, protocol }
      const cluster = new KmipCluster(options, () => undefined)
      for (const key of keys) await registerKey(cluster, prefix + key.name, key, 'leave inactive')
      cluster.close()
      const adapter = await open(options, () => undefined)
      return { adapter, ref: (name) => (prefix + name) as KeyRef, stop: () => adapter.close() }
    },
  })
})
