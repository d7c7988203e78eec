import { randomBytes } from 'node:crypto'
import { AdapterError, type CallContext, type KeyAdapter, type KeyRef } from '../../adapters/contract/index.ts'
import { open, type KmipOptions } from '../../adapters/kmip/index.ts'
import { Reports } from '../software/fixtures.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { activateIfNeeded, registerAes, registerRsa } from './register.ts'
import type { Behaviour } from './server/behaviour.ts'
import { contextOf } from '../support/context.ts'
import { startTestServer, type StartedTestServer } from './test-server.ts'

export interface KmipFixture extends StartedTestServer, AsyncDisposable {
  readonly adapter: KeyAdapter
  readonly reports: Reports
  readonly kek: Uint8Array
  readonly aesId: string
}

export const ref = (text: string): KeyRef => text as KeyRef

/** A context whose signal fires after `ms`, as the gateway's does at a deadline. */
export function within(ms: number): CallContext {
  const controller = new AbortController()
  setTimeout(() => controller.abort(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed')), ms).unref()
  return contextOf(controller.signal, performance.now() + ms, 'kmip-test')
}

/** A test server with the active keys `aes` and `rsa`, and an adapter on it. */
export async function kmipFixture(
  behaviour: Partial<Behaviour> = {},
  options: Partial<KmipOptions> = {},
): Promise<KmipFixture> {
  const started = await startTestServer(behaviour)
  const kek = randomBytes(32)
  const cluster = started.cluster()
  const aesId = await registerAes(cluster, kek, { name: 'aes' })
  const { privateKeyId, publicKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'rsa' })
  for (const id of [aesId, privateKeyId, publicKeyId]) await activateIfNeeded(cluster, id)
  cluster.close()
  const reports = new Reports()
  const adapter = await open({ ...started.options, ...options }, reports.report)
  return {
    ...started,
    adapter,
    reports,
    kek,
    aesId,
    [Symbol.asyncDispose]: async () => {
      await adapter.close()
      await started.server.stop()
    },
  }
}
