import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import { Secret } from '../../adapters/contract/index.ts'
import type { ScryptCost } from '../../adapters/software/passphrase.ts'
import { KeyStore } from '../../adapters/software/store.ts'
import type { StoredKey } from '../../adapters/software/stored-key.ts'
import { serveAdmin } from '../../src/service/admin/server.ts'
import { adminView } from '../../src/service/admin/view.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ServiceEvents } from '../../src/telemetry/service-metrics.ts'
import type { Gateway } from '../../src/gateway/gateway.ts'
import { startGateway } from '../../src/gateway/start.ts'
import { answers } from '../../src/service/workers/messages.ts'
import { quickCost } from '../software/fixtures.ts'
import { CLIENT_CN, type Pki } from './pki.ts'
import { makeWorkspace, type Workspace } from './workspace.ts'

export const PASSPHRASE = 'correct horse battery staple 7c1f'

const PATIENCE_MS = 30_000

export interface LogLine extends Record<string, unknown> {
  readonly event: string
}

export interface TestGateway {
  readonly gateway: Gateway
  readonly port: number
  readonly adminPort: number | undefined
  readonly pki: Pki
  readonly workspace: Workspace
  /** The log so far, as text. */
  logText(): Promise<string>
  logged(event: string): Promise<LogLine[]>
  /** Resolves with the audit records of an address as soon as there are `count`. */
  requestsFrom(address: string, count?: number): Promise<LogLine[]>
  stop(): Promise<void>
}

/** Settings laid over a complete configuration, section by section. */
export interface Settings {
  readonly workers?: number
  readonly listen?: object
  readonly limits?: object
  readonly log?: object
  readonly admin?: object
  readonly info?: object
  /** Replaces the software store as the backend `store`. */
  readonly backend?: object
  /** Further backends. */
  readonly backends?: Readonly<Record<string, object>>
  readonly pools?: readonly object[]
  /** Further settings beside the sections. */
  readonly top?: object
  /** Further files beside the configuration. */
  readonly files?: Readonly<Record<string, string>>
  /** The cost of the store's passphrase. By default {@link quickCost}. */
  readonly storeCost?: ScryptCost
}

export type TestKey = Pick<StoredKey, 'name' | 'jwk'> & Partial<StoredKey>

/** A store with a cheaply stretched passphrase, so that tests start at once. */
export async function makeStore(
  directory: string,
  keys: readonly TestKey[],
  cost: ScryptCost = quickCost,
): Promise<void> {
  const passphrase = new Secret(Buffer.from(PASSPHRASE))
  const store = await KeyStore.openOrCreate({ directory, passphrase }, cost)
  for (const key of keys) await store.add({ enabled: true, created: new Date(), ...key })
}

/** Rewrites the configuration and returns its path. The caller triggers the reload. */
export async function editConfig<Yaml>(workspace: Workspace, edit: (yaml: Yaml) => void): Promise<string> {
  const yaml = parse(await readFile(workspace.path('gateway.yaml'), 'utf8')) as Yaml
  edit(yaml)
  return workspace.write('gateway.yaml', stringify(yaml))
}

/** A pool of the backend `store`, for the client that every test has. */
export const contosoPool = (pathPrefix: string, keys: 'all' | Readonly<Record<string, object>>) => ({
  name: 'contoso',
  pathPrefix,
  clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
  backend: 'store',
  keys,
})

/** Writes certificates, a store with `keys` and a configuration file, without starting anything. */
export async function writeGatewayFiles(pki: Pki, keys: readonly TestKey[], settings: Settings = {}) {
  const workspace = await makeWorkspace()
  await makeStore(workspace.path('keys'), keys, settings.storeCost)
  await workspace.write('passphrase', PASSPHRASE + '\n')
  await workspace.write('server.pem', pki.server.certificate)
  await workspace.write('server.key', pki.server.key)
  await workspace.write('client-ca.pem', pki.clientCa.certificate)
  for (const [name, content] of Object.entries(settings.files ?? {})) await workspace.write(name, content)
  const config = {
    ...settings.top,
    listen: { host: '127.0.0.1', port: 0, tls: { certificate: 'server.pem', key: 'server.key' }, ...settings.listen },
    limits: { deadlineMs: 2000, drainDelayMs: 0, ...settings.limits },
    log: { level: 'debug', destination: 'gateway.log', ...settings.log },
    ...(settings.admin && { admin: settings.admin }),
    ...(settings.workers !== undefined && { workers: settings.workers }),
    ...(settings.info && { info: settings.info }),
    backends: {
      ...settings.backends,
      store: settings.backend ?? { kind: 'software', directory: 'keys', passphrase: { file: 'passphrase' } },
    },
    pools: settings.pools ?? [contosoPool('azureekm/contoso', 'all')],
  }
  const file = await workspace.write('gateway.yaml', stringify(config))
  return { workspace, file }
}

export async function startTestGateway(
  pki: Pki,
  keys: readonly TestKey[],
  settings: Settings = {},
  open?: Parameters<typeof startGateway>[1],
): Promise<TestGateway> {
  const { workspace, file } = await writeGatewayFiles(pki, keys, settings)
  const config = loadConfig(file, {})
  const gateway = await startGateway(config, open)
  const view = adminView({
    collect: async (question) => [await answers[question](gateway)],
    certificateDaysLeft: () => [],
    listDaysLeft: () => [],
    listGaps: () => [],
    events: new ServiceEvents(),
    logLinesLost: () => 0,
    workers: 1,
    get config() {
      return gateway.config
    },
  })
  const admin = config.admin && (await serveAdmin(config.admin, view))
  const readLog = () => readFile(workspace.path('gateway.log'), 'utf8')
  /** Waits until the log has every line that was written so far. The last one is a mark of its own. */
  const logText = async () => {
    const { log } = gateway
    const [mark, lost] = [randomUUID(), log.lost]
    log.always(MARK, { mark })
    // A closed log has written all that it had, and takes no further line.
    if (log.lost > lost) return withoutMarks(await readLog())
    for (const deadline = performance.now() + PATIENCE_MS; ; await setTimeout(5)) {
      const text = await readLog()
      if (text.includes(mark)) return withoutMarks(text)
      if (performance.now() > deadline) throw new Error('the log does not have its last line')
    }
  }
  const requestsFrom = async (address: string, count = 1) => {
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      const records = recordsIn(await readLog(), 'request').filter((record) => record['remote_address'] === address)
      if (records.length >= count) return records
      if (performance.now() > deadline)
        throw new Error(`${records.length} of ${count} requests of ${address} are logged`)
      await setTimeout(10)
    }
  }
  return {
    gateway,
    port: gateway.port,
    adminPort: admin?.port,
    pki,
    workspace,
    logText,
    logged: async (event) => recordsIn(await logText(), event),
    requestsFrom,
    stop: async () => {
      await gateway.drain()
      await admin?.close()
      await workspace.remove()
    },
  }
}

const MARK = 'mark_of_a_test'
const withoutMarks = (text: string) => text.replaceAll(new RegExp(`^.*"${MARK}".*\n`, 'gm'), '')

/** The records of `event` in the text of a log. The last line may be incomplete. */
export const recordsIn = (text: string, event: string): LogLine[] =>
  text
    .split('\n')
    // A few of ten thousand lines are wanted, again and again, so that only these are parsed.
    .filter((line) => line.endsWith('}') && line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line) as LogLine)
    .filter((record) => record.event === event)

export const aesKey = (name: string, raw = randomBytes(32)): TestKey => ({
  name,
  jwk: { kty: 'oct', k: raw.toString('base64url') },
})
