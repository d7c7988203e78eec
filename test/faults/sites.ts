import { join } from 'node:path'
import type { Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { openBackend } from '../../src/backends/index.ts'
import { registerAes, registerRsa, activateIfNeeded } from '../kmip/register.ts'
import type { KmipTestServer } from '../kmip/server/kmip-server.ts'
import { kmipSection } from '../kmip/support/backend-section.ts'
import { KmipRelay } from '../kmip/support/relay.ts'
import { startTestServer } from '../kmip/test-server.ts'
import { faultModule, type FaultModule } from '../pkcs11/support/fault-module.ts'
import { PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { makeStore, type TestKey } from '../support/gateway.ts'
import { makeWorkspace } from '../support/workspace.ts'
import { makeKeys, startSite, type Site, type SiteKeys } from './site.ts'

export interface TokenSite extends Site {
  readonly hsm: SoftHsm
  readonly faults: FaultModule
  /** Process ids. */
  readonly hosts: () => readonly number[]
}

interface TokenOptions {
  readonly deadlineMs?: number
  readonly sessions?: number
  /** Lines of the fault module's script from the gateway's start on. */
  readonly script?: readonly string[]
}

/** SoftHSM behind a module that fails on command. */
export async function tokenSite({ deadlineMs, sessions = 3, script = [] }: TokenOptions = {}): Promise<TokenSite> {
  const keys = await makeKeys()
  const hsm = softHsm()
  const faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('touched', {}, keys.touched)
    objects.aes('other', {}, keys.other)
    objects.rsa('rsa', {}, { ...keys.rsa })
  })
  faults.script(...script)
  let hosts: () => readonly number[] = () => []
  const site = await startSite({
    keys,
    backend: { kind: 'pkcs11', module: faults.path, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions },
    files: { pin: PIN },
    ...(deadlineMs !== undefined && { deadlineMs }),
    open: async (backend, report) => {
      const adapter = await openBackend(backend, report)
      if (backend.kind === 'pkcs11') hosts = () => (adapter as Pkcs11Adapter).hosts
      return adapter
    },
  })
  return {
    ...site,
    hsm,
    faults,
    hosts: () => hosts(),
    [Symbol.asyncDispose]: async () => {
      faults.script()
      await site.close()
      hsm.remove()
    },
  }
}

export interface KeyManagerSite extends Site {
  readonly relay: KmipRelay
  readonly server: KmipTestServer
  /** The unique identifier of the key `touched`. */
  readonly touchedId: string
}

/** The KMIP test server behind the relay. */
export async function keyManagerSite(): Promise<KeyManagerSite> {
  const keys = await makeKeys()
  const started = await startTestServer()
  const { server, pki, options } = started
  const administrator = started.cluster()
  const touchedId = await registerAes(administrator, keys.touched, { name: 'touched' })
  const otherId = await registerAes(administrator, keys.other, { name: 'other' })
  const { privateKeyId, publicKeyId } = await registerRsa(administrator, keys.rsa, { name: 'rsa' })
  for (const id of [touchedId, otherId, privateKeyId, publicKeyId]) await activateIfNeeded(administrator, id)
  administrator.close()
  const relay = await KmipRelay.start(options, pki.server)
  const site = await startSite({
    keys,
    ...kmipSection(relay.options, 4),
  })
  return {
    ...site,
    relay,
    server,
    touchedId,
    [Symbol.asyncDispose]: async () => {
      await site.close()
      await relay[Symbol.asyncDispose]()
      await server.stop()
    },
  }
}

export interface StoreSite extends Site {
  /** The file of the key `touched`. */
  readonly keyFile: string
}

/** A software store. */
export async function storeSite(): Promise<StoreSite> {
  const keys = await makeKeys()
  const workspace = await makeWorkspace()
  const directory = workspace.path('store')
  await makeStore(directory, storedKeys(keys))
  const site = await startSite({ keys, backend: { kind: 'software', directory, passphrase: { file: 'passphrase' } } })
  return {
    ...site,
    keyFile: join(directory, 'touched.jwe'),
    [Symbol.asyncDispose]: async () => {
      await site.close()
      await workspace.remove()
    },
  }
}

const storedKeys = ({ touched, other, rsa }: SiteKeys): TestKey[] => [
  { name: 'touched', jwk: { kty: 'oct', k: Buffer.from(touched).toString('base64url') } },
  { name: 'other', jwk: { kty: 'oct', k: Buffer.from(other).toString('base64url') } },
  { name: 'rsa', jwk: rsa },
]
