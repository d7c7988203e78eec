import { afterAll, describe, vi } from 'vitest'
import type { KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/kmip/index.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { startPyKmip } from '../kmip/pykmip.ts'
import { activateIfNeeded, registerAes, registerRsa } from '../kmip/register.ts'
import type { TestKey } from './harness.ts'
import { describeAdapter } from './suite.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

const server = await startPyKmip()
let starts = 0

async function register(cluster: KmipCluster, name: string, { material, disabled }: TestKey): Promise<void> {
  const ids =
    material.kty === 'oct'
      ? [await registerAes(cluster, material.k, { name })]
      : Object.values(await registerRsa(cluster, material.jwk, { name }))
  // Of a key's states, PyKMIP lets none but Active be used: one that was never activated is as good as disabled.
  if (disabled !== true) for (const id of ids) await activateIfNeeded(cluster, id)
}

describe.each(['1.2', '2.0'] as const)('KMIP %s', (protocol) => {
  afterAll(async () => {
    if (protocol === '2.0') await server.stop()
  })

  describeAdapter({
    name: `a real PyKMIP server, spoken to in KMIP ${protocol}`,
    // It refuses to use an RSA key.
    algorithms: ['A256KW', 'A256KWP'],
    // Some 3 ms a call, and RFC 3394 wants 3072 of them, one after another, for 4096 bytes.
    longestDataKey: 512,
    canDisable: true,
    dates: [],
    start: async (keys) => {
      const prefix = `${protocol}-${(starts += 1)}-`
      const options = { ...server.options, protocol }
      const cluster = new KmipCluster(options, () => undefined)
      for (const key of keys) await register(cluster, prefix + key.name, key)
      cluster.close()
      const adapter = await open(options, () => undefined)
      return { adapter, ref: (name) => (prefix + name) as KeyRef, stop: () => adapter.close() }
    },
  })
})
