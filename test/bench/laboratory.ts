import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Secret } from '../../adapters/contract/index.ts'
import { v8Arguments } from '../../adapters/contract/node-arguments.ts'
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
import { descendantsOf, hostsOf } from './process-tree.ts'
import type { BareServerInput } from './programs/bare-server.ts'
import type { KmipServerInput, KmipServerOutput } from './programs/kmip-server.ts'
import { isRight, type Call } from './request.ts'
import { ServerProcess } from './server-process.ts'

const CLI = fileURLToPath(new URL('../../programs/cli.js', import.meta.url))
const program = (name: string) => fileURLToPath(new URL(`programs/${name}.js`, import.meta.url))
const TOKEN = 'bench'
/** An eighth of what a store costs that the gateway makes. The figure `start` has always been measured with it. */
const STORE_COST = { N: 2 ** 14, r: 8, p: 1 }
const READY_MS = 20_000
const HOSTS_MS = 50

/** The path prefix of each backend's pool, and the key names in every backend that has them. Only KMIP has `slow`. */
export const prefixes = { software: 'azureekm/contoso', hsm: 'azureekm/hsm', kmip: 'azureekm/kmip' } as const
export const keyNames = { aes: 'aes', rsa: 'rsa', slow: 'slow' } as const

/** A server that listens. */
export interface Server extends AsyncDisposable {
  readonly pid: number
  readonly target: Target
}

export interface RunningGateway extends Server {
  /** Milliseconds from the start of its first process until it listened. */
  readonly startMs: number
}

export interface GatewayParts {
  readonly hsm?: SoftHsm
  /** Moves the HSM hosts off the gateway's core, since they stand in for a device of its own. */
  readonly hostsAway?: true
  readonly kmip?: KmipServer
  /** The setting `listen.proxyProtocol`. */
  readonly proxyProtocol?: readonly string[]
  /** The setting `workers`. The gateway may then use all cores. */
  readonly workers?: number
  /** The number of further keys in the software store. */
  readonly moreKeys?: number
  /** The dist/programs/cli.js of another build. */
  readonly cli?: string
  /** Further words of Node.js's command line. */
  readonly nodeArguments?: readonly string[]
}

export interface KmipServer extends AsyncDisposable {
  readonly port: number
  readonly keyId: string
  readonly slowKeyId: string
  readonly serverCa: string
  readonly client: Identity
}

/** Makes everything for the measurements: certificates, keys, and servers in processes of their own. */
export class Laboratory {
  readonly dataKey = randomBytes(32)
  readonly #kek = randomBytes(32)
  readonly #pki: Pki
  /** The Node.js binary that runs the servers. */
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

  /** The data key wrapped under the AES key of the software store and the KMIP server. */
  wrapped(algorithm: 'A256KW' | 'A256KWP'): Buffer {
    return (algorithm === 'A256KW' ? kw : kwp)(aes256(this.#kek), this.dataKey)
  }

  rsa() {
    return rsaKey(4096)
  }

  /** Starts `ekm-gateway serve` as an operator does, with the software store and the backends that `parts` names. */
  async gateway(parts: GatewayParts = {}): Promise<RunningGateway> {
    const { workers, moreKeys = 0, cli = CLI, proxyProtocol, nodeArguments = [] } = parts
    if (workers !== undefined && !this.#knowsWorkers()) throw new NotAvailable('this gateway has no setting workers')
    const more = furtherNames(moreKeys).map((name) => aesKey(name))
    const keys = [aesKey(keyNames.aes, this.#kek), { name: keyNames.rsa, jwk: await this.rsa() }, ...more]
    const { workspace, file } = await writeGatewayFiles(this.#pki, keys, {
      // Only settings that other versions know too.
      limits: { deadlineMs: 200, drainDelayMs: undefined },
      log: { level: 'info' },
      storeCost: STORE_COST,
      ...(workers !== undefined && { top: { workers } }),
      ...(proxyProtocol && { listen: { proxyProtocol } }),
      backends: backendsOf(parts),
      pools: poolsOf(parts),
      files: filesOf(parts),
    })
    const begin = Date.now()
    const process = new ServerProcess({
      prefix: workers === undefined ? this.cores.server : this.cores.anywhere,
      command: [this.#node, ...v8Arguments, ...nodeArguments, cli, 'serve', '--config', file],
      environment: parts.hsm ? { SOFTHSM2_CONF: `${parts.hsm.directory}/softhsm2.conf` } : {},
    })
    const stop = async () => {
      await process.stop()
      await workspace.remove()
    }
    try {
      const { port, at } = await Promise.race([listening(workspace.path('gateway.log')), process.failure()])
      if (parts.hostsAway) await this.#moveHostsAway(process.pid)
      const target = this.target(port)
      return { pid: process.pid, target, startMs: at - begin, [Symbol.asyncDispose]: stop }
    } catch (error) {
      await stop()
      throw error
    }
  }

  async bareServer(kind: BareServerInput['kind'], nodeArguments: readonly string[] = []): Promise<Server> {
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
      command: [this.#node, ...nodeArguments, program('bare-server')],
      input: JSON.stringify(input),
    })
    const target = this.target(Number(await process.firstLine()))
    return { pid: process.pid, target, [Symbol.asyncDispose]: () => process.stop() }
  }

  /** Milliseconds that Node.js takes to start, and to end, where there is nothing to run. */
  async emptyProgram(): Promise<number> {
    const [file = '', ...words] = [...this.cores.server, this.#node, ...v8Arguments, '--eval', '']
    const begin = performance.now()
    await promisify(execFile)(file, words)
    return performance.now() - begin
  }

  /** A SoftHSM token with an AES key and an RSA-4096 key, made as `keys create` makes them. */
  async softHsm(): Promise<SoftHsm & { readonly token: string }> {
    const hsm = softHsm()
    hsm.initToken(TOKEN)
    const options: Pkcs11Options = hsm.options(TOKEN)
    const administration = await administer(options)
    await administration.create(keyNames.aes, { kty: 'oct', bits: 256 }, {})
    await administration.create(keyNames.rsa, { kty: 'RSA', bits: 4096 }, {})
    return { ...hsm, token: TOKEN }
  }

  /** Runs on the load generator's core: to the gateway it is another machine. */
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

  /**
   * Moves the HSM hosts, and the starter, from which later hosts inherit their core. To look for hosts again and again
   * would take milliseconds of the load generator each time, and requests would be late because of it.
   */
  async #moveHostsAway(pid: number): Promise<void> {
    const moved = new Set<number>()
    for (const deadline = performance.now() + READY_MS; performance.now() < deadline;) {
      const started = descendantsOf(pid).filter((one) => !moved.has(one))
      if (started.length === 0 && hostsOf(pid).length > 0) return
      await moveBesideGenerator(started, this.cores)
      for (const one of started) moved.add(one)
      await sleep(HOSTS_MS)
    }
    throw new Error('no HSM host has started')
  }

  /** A relay in this process between the KMIP server and a gateway, which gets the relay's address instead. */
  async kmipRelay(kmip: KmipServer): Promise<KmipServer & { readonly relay: KmipRelay }> {
    const relay = await KmipRelay.start(kmipOptionsOf(kmip), this.#pki.server)
    const port = relay.options.servers[0]?.port ?? kmip.port
    return { ...kmip, port, relay, [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose]() }
  }

  /** A certificate of the clients' CA that no pool lists. */
  anotherTenant(): Promise<Identity> {
    return issue({ commonName: 'another tenant', usage: 'client' }, this.#pki.clientCa)
  }

  /** Where and as whom a client connects to a gateway on `port`. */
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

const furtherNames = (count: number) => Array.from({ length: count }, (_, index) => `more-${index}`)

function poolsOf({ hsm, kmip, moreKeys = 0 }: GatewayParts): object[] {
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
    pool('software', 'store', [...both, ...furtherNames(moreKeys)]),
    ...(hsm ? [pool('hsm', 'hsm', both)] : []),
    ...(kmip ? [pool('kmip', 'kmip', [keyNames.aes, keyNames.slow])] : []),
  ]
}

/** @returns the port, and when the gateway began to listen, in milliseconds since the epoch */
async function listening(log: string): Promise<{ readonly port: number; readonly at: number }> {
  for (const deadline = performance.now() + READY_MS; performance.now() < deadline;) {
    const lines = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(0, -1)
    const line = lines.find((one) => one.includes('"event":"listening"'))
    if (line !== undefined) {
      const { port, time } = JSON.parse(line) as { readonly port: number; readonly time: string }
      return { port, at: Date.parse(time) }
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('the gateway does not listen')
}

/** Waits until a server answers `call` rightly. A backend first qualifies its keys. */
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
