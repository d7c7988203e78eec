import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Secret } from '../../adapters/contract/index.ts'
import type { KmipOptions } from '../../adapters/kmip/index.ts'
import { administer, type Pkcs11Options } from '../../adapters/pkcs11/index.ts'
import { KmipRelay } from '../kmip/support/relay.ts'
import { aes256, kw, kwp } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { MODULE, PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { aesKey, writeGatewayFiles } from '../support/gateway.ts'
import { CLIENT_CN, issue, makePki, type Identity, type Pki } from '../support/pki.ts'
import { NotAvailable } from './figure.ts'
import { askOnce, makeTarget, type Target } from './http-connection.ts'
import { moveBesideGenerator, type Cores } from './machine.ts'
import { descendantsOf } from './process-tree.ts'
import type { BareServerInput } from './programs/bare-server.ts'
import type { KmipServerInput, KmipServerOutput } from './programs/kmip-server.ts'
import { isRight, type Call } from './request.ts'
import { ServerProcess } from './server-process.ts'

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))
const program = (name: string) => fileURLToPath(new URL(`programs/${name}.js`, import.meta.url))
const TOKEN = 'bench'
const READY_MS = 20_000
const HOSTS_MS = 50

/** Where each backend's pool is served, and the names of the keys in every backend that has them; `slow` is on KMIP only. */
export const prefixes = { software: 'azureekm/contoso', hsm: 'azureekm/hsm', kmip: 'azureekm/kmip' } as const
export const keyNames = { aes: 'aes', rsa: 'rsa', slow: 'slow' } as const

/** A server that listens. */
export interface Server extends AsyncDisposable {
  readonly pid: number
  readonly target: Target
}

export interface GatewayParts {
  readonly hsm?: SoftHsm
  /** The HSM's hosts, which stand in for a device of its own, leave the gateway's core to the gateway. */
  readonly hostsAway?: true
  readonly kmip?: KmipServer
  /** The setting `listen.proxyProtocol`. */
  readonly proxyProtocol?: readonly string[]
  /** The setting of that name, and with it the freedom to use all cores. */
  readonly workers?: number
  /** The dist/src/cli.js of another build. */
  readonly cli?: string
}

export interface KmipServer extends AsyncDisposable {
  readonly port: number
  readonly keyId: string
  readonly slowKeyId: string
  readonly serverCa: string
  readonly client: Identity
}

/** Makes everything that is measured: certificates, keys, and servers in processes of their own. */
export class Laboratory {
  readonly dataKey = randomBytes(32)
  readonly #kek = randomBytes(32)
  readonly #pki: Pki
  /** The binary that runs the servers. */
  readonly #node: string
  readonly cores: Cores

  private constructor(pki: Pki, node: string, cores: Cores) {
    this.#pki = pki
    this.#node = node
    this.cores = cores
  }

  static async open(node: string, cores: Cores): Promise<Laboratory> {
    return new Laboratory(await makePki(), node, cores)
  }

  /** The data key wrapped under the AES key of the software store and of the KMIP server. */
  wrapped(algorithm: 'A256KW' | 'A256KWP'): Buffer {
    return (algorithm === 'A256KW' ? kw : kwp)(aes256(this.#kek), this.dataKey)
  }

  rsa() {
    return rsaKey(4096)
  }

  /** `ekm-gateway serve` as an operator runs it, with the software store and whatever else `parts` name. */
  async gateway(parts: GatewayParts = {}): Promise<Server> {
    const { workers, cli = CLI, proxyProtocol } = parts
    if (workers !== undefined && !this.#knowsWorkers()) throw new NotAvailable('this gateway has no setting workers')
    const keys = [aesKey(keyNames.aes, this.#kek), { name: keyNames.rsa, jwk: await this.rsa() }]
    const { workspace, file } = await writeGatewayFiles(this.#pki, keys, {
      // Settings that other versions know too.
      limits: { deadlineMs: 200, drainDelayMs: undefined },
      log: { level: 'info' },
      ...(workers !== undefined && { top: { workers } }),
      ...(proxyProtocol && { listen: { proxyProtocol } }),
      backends: backendsOf(parts),
      pools: poolsOf(parts),
      files: filesOf(parts),
    })
    const process = new ServerProcess({
      prefix: workers === undefined ? this.cores.server : this.cores.anywhere,
      command: [this.#node, cli, 'serve', '--config', file],
      environment: parts.hsm ? { SOFTHSM2_CONF: `${parts.hsm.directory}/softhsm2.conf` } : {},
    })
    const moving = parts.hostsAway && this.#keepHostsAway(process.pid)
    const stop = async () => {
      clearInterval(moving)
      await process.stop()
      await workspace.remove()
    }
    try {
      const port = await Promise.race([listeningPort(workspace.path('gateway.log')), process.failure()])
      const target = this.target(port)
      return { pid: process.pid, target, [Symbol.asyncDispose]: stop }
    } catch (error) {
      await stop()
      throw error
    }
  }

  async bareServer(kind: BareServerInput['kind']): Promise<Server> {
    const { server, clientCa } = this.#pki
    const input: BareServerInput = {
      kind,
      certificate: server.certificate,
      key: server.key,
      clientCa: clientCa.certificate,
      kek: this.#kek.toString('base64url'),
    }
    const process = new ServerProcess({
      prefix: this.cores.server,
      command: [this.#node, program('bare-server')],
      input: JSON.stringify(input),
    })
    const target = this.target(Number(await process.firstLine()))
    return { pid: process.pid, target, [Symbol.asyncDispose]: () => process.stop() }
  }

  /** A SoftHSM token with an AES key and an RSA-4096 key, as `keys create` makes them. */
  async softHsm(): Promise<SoftHsm & { readonly token: string }> {
    const hsm = softHsm()
    // The hosts run compiled code, as an operator's do.
    delete process.env['NODE_OPTIONS']
    hsm.initToken(TOKEN)
    const options: Pkcs11Options = hsm.options(TOKEN)
    const administration = await administer(options)
    await administration.create(keyNames.aes, { kty: 'oct', bits: 256 }, {})
    await administration.create(keyNames.rsa, { kty: 'RSA', bits: 4096 }, {})
    return { ...hsm, token: TOKEN }
  }

  /** Beside the load generator: to the gateway it is another machine. */
  async kmipServer(): Promise<KmipServer> {
    const client = await issue({ commonName: 'ekm-gateway', usage: 'client' }, this.#pki.clientCa)
    const input: KmipServerInput = {
      server: this.#pki.server,
      serverCa: this.#pki.serverCa.certificate,
      client,
      clientCa: this.#pki.clientCa.certificate,
      kek: this.#kek.toString('base64url'),
    }
    const server = new ServerProcess({
      prefix: [],
      command: [process.execPath, program('kmip-server')],
      input: JSON.stringify(input),
    })
    const output = JSON.parse(await server.firstLine()) as KmipServerOutput
    return { ...output, serverCa: input.serverCa, client, [Symbol.asyncDispose]: () => server.stop() }
  }

  /** Also those that replace others. Ends with what is returned. */
  #keepHostsAway(pid: number): NodeJS.Timeout {
    const moved = new Set<number>()
    return setInterval(() => {
      const started = descendantsOf(pid).filter((one) => !moved.has(one))
      for (const one of started) moved.add(one)
      moveBesideGenerator(started, this.cores)
    }, HOSTS_MS)
  }

  /** A relay before the KMIP server, in this process, to a gateway that is given it in the server's place. */
  async kmipRelay(kmip: KmipServer): Promise<KmipServer & { readonly relay: KmipRelay }> {
    const relay = await KmipRelay.start(kmipOptionsOf(kmip), this.#pki.server)
    const port = relay.options.servers[0]?.port ?? kmip.port
    return { ...kmip, port, relay, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() }
  }

  /** A certificate of the clients' CA that no pool lists. */
  anotherTenant(): Promise<Identity> {
    return issue({ commonName: 'another tenant', usage: 'client' }, this.#pki.clientCa)
  }

  /** Where a client of the gateways here connects to a port. */
  target(port: number): Target {
    const { serverCa, client } = this.#pki
    return makeTarget(port, { ca: serverCa.certificate, cert: client.certificate, key: client.key })
  }

  #knowsWorkers(): boolean {
    const schema = JSON.parse(execFileSync(this.#node, [CLI, 'config', 'schema'], { encoding: 'utf8' })) as object
    return 'properties' in schema && Object.hasOwn(schema.properties as object, 'workers')
  }
}

/** How the server's client reaches it. */
export const kmipOptionsOf = ({ port, serverCa, client }: KmipServer): KmipOptions => ({
  servers: [{ host: '127.0.0.1', port }],
  tls: {
    ca: Buffer.from(serverCa),
    certificate: Buffer.from(client.certificate),
    key: new Secret(Buffer.from(client.key)),
  },
})

const backendsOf = ({ hsm, kmip }: GatewayParts) => ({
  ...(hsm && { hsm: { kind: 'pkcs11', module: MODULE, token: { label: TOKEN }, pin: { file: 'pin' } } }),
  ...(kmip && {
    kmip: {
      kind: 'kmip',
      servers: [`127.0.0.1:${kmip.port}`],
      tls: { ca: 'kmip-ca.pem', certificate: 'kmip-client.pem', key: 'kmip-client.key' },
    },
  }),
})

const filesOf = ({ hsm, kmip }: GatewayParts): Record<string, string> => ({
  ...(hsm && { pin: PIN }),
  ...(kmip && {
    'kmip-ca.pem': kmip.serverCa,
    'kmip-client.pem': kmip.client.certificate,
    'kmip-client.key': kmip.client.key,
  }),
})

function poolsOf({ hsm, kmip }: GatewayParts): object[] {
  const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }]
  const pool = (name: keyof typeof prefixes, backend: string, keys: readonly string[]) => ({
    name,
    pathPrefix: prefixes[name],
    clients,
    backend,
    keys: Object.fromEntries(keys.map((key) => [key, {}])),
  })
  const both = [keyNames.aes, keyNames.rsa]
  return [
    pool('software', 'store', both),
    ...(hsm ? [pool('hsm', 'hsm', both)] : []),
    ...(kmip ? [pool('kmip', 'kmip', [keyNames.aes, keyNames.slow])] : []),
  ]
}

async function listeningPort(log: string): Promise<number> {
  for (const deadline = performance.now() + READY_MS; performance.now() < deadline;) {
    const text = await readFile(log, 'utf8').catch(() => '')
    const port = /"event":"listening".*"port":(\d+)/.exec(text)?.[1]
    if (port !== undefined) return Number(port)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('the gateway does not listen')
}

/** Waits until a server answers `call` rightly: a backend first looks at its keys. */
export async function untilRight({ target }: Pick<Server, 'target'>, call: Call): Promise<void> {
  let last = 'nothing'
  for (const deadline = performance.now() + READY_MS; performance.now() < deadline;) {
    const reply = await askOnce(target, call.request)
    if (isRight(call, reply)) return
    last = `${reply.status} ${reply.body}`
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`no right answer; the last was ${last}`)
}
