import { isIP } from 'node:net'
import { checkServerIdentity, createSecureContext, type ConnectionOptions } from 'node:tls'
import { asBuffer, OperatorError, systemCode } from '../../contract/index.ts'
import { DEFAULT_PORT, type KmipOptions, type KmipServerOptions } from '../options.ts'

/** Only suites with forward secrecy and authenticated encryption. */
const SAFE_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':')

/** `host:port`, as an operator writes it. */
export const addressOf = ({ host, port = DEFAULT_PORT }: KmipServerOptions): string =>
  `${isIP(host) === 6 ? `[${host}]` : host}:${port}`

/**
 * How to connect to `server`. Its name and certificate are always verified, the latter against the operator's CA alone.
 * @throws OperatorError for a certificate, key or cipher list that TLS cannot use
 */
export function tlsOptions(server: KmipServerOptions, { tls }: KmipOptions): ConnectionOptions {
  const { host, port = DEFAULT_PORT } = server
  const serverName = server.serverName ?? tls.serverName ?? host
  const key = asBuffer(tls.key.reveal())
  const passphrase = tls.passphrase && asBuffer(tls.passphrase.reveal())
  try {
    const secureContext = createSecureContext({
      ca: Buffer.from(tls.ca),
      cert: Buffer.from(tls.certificate),
      key,
      // Node.js accepts a passphrase only as a string.
      ...(passphrase && { passphrase: passphrase.toString() }),
      minVersion: server.minVersion ?? tls.minVersion ?? 'TLSv1.2',
      ciphers: server.ciphers ?? tls.ciphers ?? SAFE_CIPHERS,
    })
    return {
      host,
      port,
      secureContext,
      rejectUnauthorized: true,
      // In TLS an IP address is not a server name.
      servername: isIP(serverName) === 0 ? serverName : '',
      checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    }
  } catch (error) {
    throw new OperatorError(
      'KMIP_TLS_INVALID',
      `the CA, certificate, key or ciphers for ${addressOf(server)} cannot be used: ${systemCode(error)}`,
    )
  } finally {
    key.fill(0)
    passphrase?.fill(0)
  }
}
