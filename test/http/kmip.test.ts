import { describe } from 'vitest'
import type { KmipOptions } from '../../adapters/kmip/index.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import type { TestKey } from '../contract/harness.ts'
import { startPyKmip } from '../kmip/pykmip.ts'
import { registerKey } from '../kmip/register.ts'
import { startTestServer } from '../kmip/test-server.ts'
import { makeWorkspace } from '../support/workspace.ts'
import { describeConformance } from './conformance.ts'
import type { BackendHarness, ProvidedBackend } from './harness.ts'
import { describeSecrecy } from './secrecy.ts'
import { describeApi } from './suite.ts'

/** Registers `keys` on the server of `options`, and writes the backend's part of a gateway's configuration. */
async function provide(
  keys: readonly TestKey[],
  options: KmipOptions,
  disabling: 'revoke' | 'leave inactive',
  stop: () => Promise<void>,
): Promise<ProvidedBackend> {
  const cluster = new KmipCluster(options, () => undefined)
  for (const key of keys) await registerKey(cluster, key.name, key, disabling)
  cluster.close()
  const { write, remove } = await makeWorkspace()
  const { ca, certificate, key } = options.tls
  const [server] = options.servers
  return {
    settings: {
      kind: 'kmip',
      servers: [`127.0.0.1:${server?.port}`],
      tls: {
        ca: await write('ca.pem', ca),
        certificate: await write('client.pem', certificate),
        key: await write('client.key', key.reveal()),
      },
    },
    secrets: { 'client key': key.reveal() },
    remove: async () => {
      await stop()
      await remove()
    },
  }
}

const common = { canDisable: true, unusable: () => ({ disabled: true as const }) }

describe('the gateway on PyKMIP', { timeout: 120_000 }, () => {
  const pykmip: BackendHarness = {
    ...common,
    product: { vendor: 'PyKMIP 0.10.0 Software Server', name: 'KMIP key manager' },
    rsa: false,
    dates: [],
    longestValue: 64,
    provide: async (keys) => {
      const server = await startPyKmip()
      return provide(keys, server.options, 'leave inactive', () => server.stop())
    },
  }
  describeApi(pykmip)
  describeSecrecy(pykmip)
})

describe('the gateway on a KMIP server with native key wrap', () => {
  const native: BackendHarness = {
    ...common,
    product: { vendor: 'ekm-gateway test server', name: 'KMIP key manager' },
    rsa: true,
    dates: ['notBefore'],
    provide: async (keys) => {
      const { server, options } = await startTestServer()
      return provide(keys, options, 'revoke', () => server.stop())
    },
  }
  describeConformance(native)
  describeApi(native)
  describeSecrecy(native)
})
