import { readFile } from 'node:fs/promises'
import { CouldNotRun } from './outcome.ts'

/** A client certificate with its intermediates, and its private key; both PEM. */
export interface ClientIdentity {
  readonly certificate: string
  readonly key: string
}

/** The proxy under test, and the keys and clients to test it with. */
export interface Target {
  readonly host: string
  readonly port: number
  /** Without slashes at both ends. May be empty. */
  readonly prefix: string
  /** PEM of the root of the proxy's own certificate. */
  readonly ca: string
  readonly client: ClientIdentity
  readonly aesKeys: readonly string[]
  readonly rsaKeys: readonly string[]
  readonly disabledKeys: readonly string[]
  /** Clients that the proxy must refuse, by a name for the report. */
  readonly refused: ReadonlyMap<string, ClientIdentity>
}

/** The options of the command as they were written. */
export interface TargetOptions {
  readonly url: string
  readonly ca: string
  readonly cert: string
  readonly key: string
  readonly aesKey: readonly string[]
  readonly rsaKey: readonly string[]
  readonly disabledKey: readonly string[]
  readonly refused: readonly string[]
}

/**
 * Reads the files that the options name.
 * @throws CouldNotRun
 */
export async function readTarget(options: TargetOptions): Promise<Target> {
  const refused = new Map<string, ClientIdentity>()
  for (const text of options.refused) {
    const [, name, certificate, key] = /^([^=]+)=([^,]+),([^,]+)$/.exec(text) ?? []
    if (name === undefined || certificate === undefined || key === undefined) {
      throw new CouldNotRun(`--refused ${text}: it must be NAME=CERT.PEM,KEY.PEM`)
    }
    refused.set(name, { certificate: await read('--refused', certificate), key: await read('--refused', key) })
  }
  return {
    ...parseUrl(options.url),
    ca: await read('--ca', options.ca),
    client: { certificate: await read('--cert', options.cert), key: await read('--key', options.key) },
    aesKeys: options.aesKey,
    rsaKeys: options.rsaKey,
    disabledKeys: options.disabledKey,
    refused,
  }
}

export function parseUrl(text: string): Pick<Target, 'host' | 'port' | 'prefix'> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'https:' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new CouldNotRun(`--url ${text}: it must be https://HOST[:PORT][/PREFIX]`)
  }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 443 : Number(url.port),
    prefix: url.pathname.replace(/^\/+|\/+$/g, ''),
  }
}

async function read(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    throw new CouldNotRun(`${option} ${path} cannot be read (${code})`)
  }
}
