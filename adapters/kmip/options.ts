import type { SecureVersion } from 'node:tls'
import { OperatorError, type Secret } from '../contract/index.ts'
import type { KmipCredentials } from './protocol/message.ts'
import type { KmipVersion } from './protocol/version.ts'

/** How the connection to one server is made. What is absent is taken from {@link KmipOptions.tls}. */
export interface KmipTlsSettings {
  /** Lowest TLS version that is accepted; TLSv1.2 by default. */
  readonly minVersion?: Extract<SecureVersion, 'TLSv1.2' | 'TLSv1.3'>
  /** OpenSSL's cipher list. By default only suites with forward secrecy and authenticated encryption. */
  readonly ciphers?: string
  /** The name that the server's certificate must have, if it is not the host that is connected to. */
  readonly serverName?: string
}

export interface KmipServerOptions extends KmipTlsSettings {
  readonly host: string
  /** By default 5696. */
  readonly port?: number
}

/** Where the key manager is and how it is used. */
export interface KmipOptions {
  /** In order of preference; a later one serves while those before it cannot. They must hold the same keys. */
  readonly servers: readonly KmipServerOptions[]
  readonly tls: KmipTlsSettings & {
    /** PEM: what the server's certificate must chain to. No other root is trusted. */
    readonly ca: Uint8Array
    /** PEM: this client's certificate, followed by its intermediates. */
    readonly certificate: Uint8Array
    /** PEM: the certificate's private key. */
    readonly key: Secret
    /** What opens the key, if it is encrypted. */
    readonly passphrase?: Secret
  }
  /** User name and password in every request, for a server that wants them besides the certificate. */
  readonly credentials?: KmipCredentials
  /** Connections to each server at most, 1 to 64; by default 8. */
  readonly connections?: number
  /** The protocol version to speak instead of the best that the server knows. */
  readonly protocol?: KmipVersion
  /**
   * `server` (default): keys are used where they are. `export`: where the server cannot do an algorithm itself, the key is
   * fetched and used in this process. Then the gateway holds key-encryption keys in memory: only for servers that can do
   * no more than hand keys out.
   */
  readonly keyAccess?: 'server' | 'export'
}

const MAX_CONNECTIONS = 64
export const DEFAULT_PORT = 5696
const DEFAULT_CONNECTIONS = 8

/** Throws an {@link OperatorError} for options that cannot be meant. */
export function checkOptions({ servers, connections }: KmipOptions): void {
  if (servers.length === 0) throw new OperatorError('KMIP_OPTION_INVALID', 'servers must name at least one server')
  if (
    connections !== undefined &&
    !(Number.isInteger(connections) && connections >= 1 && connections <= MAX_CONNECTIONS)
  ) {
    throw new OperatorError('KMIP_OPTION_INVALID', `connections must be a whole number from 1 to ${MAX_CONNECTIONS}`)
  }
}

export const connectionsOf = (options: KmipOptions): number => options.connections ?? DEFAULT_CONNECTIONS
