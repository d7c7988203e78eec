import { readlinkSync, renameSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Cli, until } from '../../commands/cli.ts'
import { MODULE, PIN, softHsm, type SoftHsm } from '../../pkcs11/support/softhsm.ts'
import { onToken } from '../../pkcs11/support/token-objects.ts'
import { contosoPool, editConfig, recordsIn, writeGatewayFiles } from '../../support/gateway.ts'
import type { Identity, Pki } from '../../support/pki.ts'
import type { Workspace } from '../../support/workspace.ts'
import { hosts, type Network } from './network.ts'

const ADMIN_PORT = 9464
const PATIENCE_MS = 60_000
const TOKEN = 'fleet'
/** Azure gives a request 250 ms. The test only asks whether it is answered, on a machine that may have other work. */
const DEADLINE_MS = 10_000

/** Settings and files that all gateways of a fleet share. */
export interface Alike {
  readonly pki: Pki
  readonly key: { readonly name: string; readonly value: Uint8Array }
  /** Base64. */
  readonly ticketKeys: string
}

type Configuration = { pools: { clients: { subjectCommonNames: string[] }[] }[] }

/** A host with a gateway and an HSM of its own. All HSMs hold the same key. */
export class GatewayHost {
  readonly name: 'gateway-1' | 'gateway-2'
  readonly address: string
  readonly #network: Network
  readonly #workspace: Workspace
  readonly #hsm: SoftHsm
  #process: Cli | undefined

  private constructor(name: 'gateway-1' | 'gateway-2', network: Network, workspace: Workspace, hsm: SoftHsm) {
    this.name = name
    this.address = hosts[name]
    this.#network = network
    this.#workspace = workspace
    this.#hsm = hsm
  }

  static async make(name: 'gateway-1' | 'gateway-2', network: Network, { pki, key, ticketKeys }: Alike) {
    const hsm = softHsm()
    hsm.initToken(TOKEN)
    onToken(TOKEN, (objects) => objects.aes(key.name, {}, key.value))
    const { workspace } = await writeGatewayFiles(pki, [], {
      files: { pin: PIN, 'tickets.key': ticketKeys },
      listen: { host: '0.0.0.0', port: 443, proxyProtocol: [hosts.balancer], ticketKeys: { file: 'tickets.key' } },
      admin: { host: '0.0.0.0', port: ADMIN_PORT },
      limits: { deadlineMs: DEADLINE_MS, drainDelayMs: 2000 },
      log: { level: 'info' },
      backend: { kind: 'pkcs11', module: MODULE, token: { label: TOKEN }, pin: { file: 'pin' }, sessions: 2 },
      pools: [contosoPool('azureekm/contoso', { [key.name]: {} })],
    })
    return new GatewayHost(name, network, workspace, hsm)
  }

  /** @param artefact the directory of an unpacked release */
  async start(artefact: string): Promise<void> {
    const started = new Cli(['serve', '--config', this.#workspace.path('gateway.yaml')], {
      command: [...this.#network.on(this.name), join(artefact, 'bin/ekm-gateway')],
      environment: { SOFTHSM2_CONF: join(this.#hsm.directory, 'softhsm2.conf') },
    })
    this.#process = started
    const isReady = async () => {
      if (!started.running) throw new Error(`${this.name} ended: ${(await started.ended).stderr}`)
      return this.isReady()
    }
    await until(`${this.name} is ready`, isReady, PATIENCE_MS)
  }

  isReady(): Promise<boolean> {
    return fetch(`http://${this.address}:${ADMIN_PORT}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  }

  /** The directory of the release that the gateway runs. */
  get artefact(): string {
    return dirname(dirname(readlinkSync(`/proc/${this.#process?.process.pid}/exe`)))
  }

  /** Ends the gateway. Resolves with its exit status. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null | undefined> {
    this.#process?.kill(signal)
    return (await this.#process?.ended)?.code
  }

  /** Makes the gateway reload its files, after writing those of `identity` and `clients`. */
  async reload(identity: Identity, clients: string[]): Promise<void> {
    const mark = this.mark()
    await this.#workspace.write('server.pem', identity.certificate)
    await this.#workspace.write('server.key', identity.key)
    await editConfig<Configuration>(this.#workspace, ({ pools }) => {
      for (const entry of pools.flatMap((pool) => pool.clients)) entry.subjectCommonNames = clients
    })
    this.#process?.kill('SIGHUP')
    // The gateway also watches the files. The first trigger wins.
    const isDone = async () => (await this.records('reloaded', mark)).length > 0
    await until(`${this.name} has reloaded`, isDone, PATIENCE_MS)
  }

  loseHsm(isLost: boolean): void {
    const paths = ['tokens', 'away'].map((name) => join(this.#hsm.directory, name)) as [string, string]
    const [from, to] = isLost ? paths : (paths.reverse() as [string, string])
    renameSync(from, to)
  }

  /** The length of the log now. */
  mark(): number {
    return statSync(this.#workspace.path('gateway.log')).size
  }

  /** The records of `event` since that length. */
  async records(event: string, since = 0) {
    await using file = await open(this.#workspace.path('gateway.log'))
    const bytes = Buffer.alloc((await file.stat()).size - since)
    await file.read(bytes, 0, bytes.length, since)
    return recordsIn(bytes.toString(), event)
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL')
    this.#hsm.remove()
    await this.#workspace.remove()
  }
}
