import type { SecureVersion } from 'node:tls'
import { OperatorError, type Secret } from '../contract/index.ts'
import type { KmipCredentials } from './protocol/message.ts'
import type { KmipVersion } from './protocol/version.ts'

/** How to connect to one server. {@link KmipOptions.tls} supplies what is undefined. */
export interface KmipTlsSettings {
  /** Lowest TLS version that is accepted; TLSv1.2 by default. */
  readonly minVersion?: Extract<SecureVersion, 'TLSv1.2' | 'TLSv1.3'>
  /** OpenSSL's cipher list. By default only suites with forward secrecy and authenticated encryption. */
  readonly ciphers?: string
  /** The name that the server's certificate must have. By default the host. */
  readonly serverName?: string
}

export interface KmipServerOptions extends KmipTlsSettings {
  readonly host: string
  /** By default 5696. */
  readonly port?: number
}

/** Where the key manager is, and how to use it. */
export interface KmipOptions {
  /** In order of preference. A later server is used while the earlier ones cannot be. All must hold the same keys. */
  readonly servers: readonly KmipServerOptions[]
  readonly tls: KmipTlsSettings & {
    /** PEM: what the server's certificate must chain to. No other root is trusted. */
    readonly ca: Uint8Array
    /** PEM: this client's certificate, followed by its intermediates. */
    readonly certificate: Uint8Array
    /** PEM: the certificate's private key. */
    readonly key: Secret
    /** The passphrase of the private key, if the key is encrypted. */
    readonly passphrase?: Secret
  }
  /** User name and password in every request, for a server that asks for them besides the certificate. */
  readonly credentials?: KmipCredentials
  /** The most connections to one server, 1 to 64. By default 32. They are opened when calls need them. */
  readonly connections?: number
  /** The protocol version to speak. By default the newest that both sides support. */
  readonly protocol?: KmipVersion
  /**
   * `server` (default): keys never leave the server. `export`: if the server cannot do an algorithm, the key is fetched
   * and used in this process. The gateway then holds key-encryption keys in memory. Use it only for servers that have
   * no other way.
   */
  readonly keyAccess?: 'server' | 'export'
}

const MAX_CONNECTIONS = 64
export const DEFAULT_PORT = 5696
const DEFAULT_CONNECTIONS = 32

/** @throws OperatorError for impossible options */
export function checkOptions({ servers, connections }: KmipOptions): void {
  if (servers.length === 0) throw new OperatorError('KMIP_OPTION_INVALID', 'servers must name at least one server')
  if (
    connections !== undefined &&
    !(Number.isInteger(connections) && connections >= 1 && connections <= MAX_CONNECTIONS)
  ) {
    throw new OperatorError('KMIP_OPTION_INVALID', `connections must be a whole number from 1 to ${MAX_CONNECTIONS}`)
  }
}

export const connectionsOf = (options: Pick<KmipOptions, 'connections'>): number =>
  options.connections ?? DEFAULT_CONNECTIONS
