import { connect, createServer } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { editConfig, recordsIn, writeGatewayFiles, type Settings, type TestKey } from '../support/gateway.ts'
import { API, CONTEXT, openSocket } from '../support/https.ts'
import type { Pki } from '../support/pki.ts'
import type { Workspace } from '../support/workspace.ts'
import { Cli, until, type StartOptions } from './cli.ts'

export const BASE = '/azureekm/contoso'

export const infoRequest = { path: `${BASE}/info?${API}`, body: { request_context: CONTEXT } }
export const wrapRequest = {
  path: `${BASE}/aes-1/wrapkey?${API}`,
  body: { request_context: CONTEXT, alg: 'A256KW', value: 'A'.repeat(43) },
}

/** A `serve` process that listens, and logs to its standard output. */
export interface Serving {
  readonly cli: Cli
  readonly port: number
  readonly file: string
  readonly workspace: Workspace
  readonly logged: (event: string) => Readonly<Record<string, unknown>>[]
  /** Resolves with the first record of `event`. */
  readonly logs: (event: string) => Promise<Readonly<Record<string, unknown>>>
  /** Resolves with the records of `event` as soon as there are `count`. */
  readonly logsTimes: (event: string, count: number) => Promise<Readonly<Record<string, unknown>>[]>
  readonly remove: () => Promise<void>
}

export const listeningPort = async (cli: Cli) => Number(await cli.says(/"event":"listening".*"port":(\d+)/))

export async function startServing(
  pki: Pki,
  keys: readonly TestKey[],
  settings: Settings = {},
  options: StartOptions = {},
): Promise<Serving> {
  const { workspace, file } = await writeGatewayFiles(pki, keys, { log: { destination: 'stdout' }, ...settings })
  const cli = new Cli(options.program === undefined ? ['serve', '--config', file] : [file], options)
  const logged = (event: string) => recordsIn(cli.stdout, event)
  const port = await listeningPort(cli).catch((error: unknown) => {
    cli.kill()
    throw error
  })
  return {
    cli,
    port,
    file,
    workspace,
    logged,
    logs: async (event) => {
      await cli.says(new RegExp(`"event":"${event}".*\n`))
      return logged(event)[0] ?? {}
    },
    logsTimes: (event, count) =>
      until(`${count} times ${event}`, () => {
        const found = logged(event)
        return found.length >= count && found
      }),
    remove: async () => {
      cli.kill()
      await cli.ended
      await workspace.remove()
    },
  }
}

/**
 * Resolves when all workers know what one of them had learned. Each message is read in its turn: the primary has the
 * lesson before the worker's answer to the first question, and the others have it before the second question. The
 * settings need an admin port.
 */
export async function lessonsAreKnown({ logs }: Pick<Serving, 'logs'>): Promise<void> {
  const { port } = await logs('admin_listening')
  for (let question = 0; question < 2; question += 1) await fetch(`http://127.0.0.1:${Number(port)}/status`)
}

export type Sections = Record<string, Record<string, unknown>>

export const changeConfig = ({ workspace }: Serving, edit: (yaml: Sections) => void): Promise<string> =>
  editConfig(workspace, edit)

/** A request whose head the gateway has read, and whose body is not yet sent. */
export async function openRequest(port: number, pki: Pki) {
  const body = JSON.stringify({ request_context: CONTEXT })
  const socket = await openSocket(port, pki)
  const received = collect(socket)
  const head = [
    `POST ${BASE}/info?${API} HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Expect: 100-continue',
  ]
  socket.write(head.join('\r\n') + '\r\n\r\n')
  await received.until('HTTP/1.1 100 Continue')
  return { finish: () => socket.write(body), closed: received.closed, destroy: () => socket.destroy() }
}

function collect(socket: TLSSocket) {
  let text = ''
  const waiting: (() => void)[] = []
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    for (const check of waiting) check()
  })
  socket.on('error', () => undefined)
  return {
    until: (wanted: string) =>
      new Promise<void>((resolve, reject) => {
        waiting.push(() => {
          if (text.includes(wanted)) resolve()
        })
        socket.once('close', () => reject(new Error(`closed without ${wanted}: ${text}`)))
      }),
    /** Everything received, once the connection is closed. */
    closed: new Promise<string>((resolve) => socket.once('close', () => resolve(text))),
  }
}

/** Occupies a port until it is released. */
export async function takePort(): Promise<{ readonly port: number; readonly release: () => Promise<void> }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    release: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

export const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
