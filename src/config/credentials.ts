import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { systemCode, type Secret } from '../../adapters/contract/index.ts'

type Source = ({ readonly cert: Buffer; readonly key: Buffer } | { readonly pfx: Buffer }) & {
  readonly passphrase?: Secret
}

/** The server's certificate and private key. Prints as nothing, wherever it may be printed by accident. */
export class Credentials {
  readonly #source: Source

  constructor(source: Source) {
    this.#source = source
  }

  /** In the form that Node's TLS takes. */
  secureContextOptions(): SecureContextOptions {
    const { passphrase, ...rest } = this.#source
    if (passphrase === undefined) return rest
    const bytes = passphrase.reveal()
    try {
      // Node takes a passphrase as a string only.
      return { ...rest, passphrase: Buffer.from(bytes.buffer).toString() }
    } finally {
      bytes.fill(0)
    }
  }

  /** Why TLS cannot use them, in words for an operator. */
  problem(): string | undefined {
    try {
      createSecureContext(this.secureContextOptions())
      return undefined
    } catch (error) {
      const code = systemCode(error)
      return explanations[code] ?? code
    }
  }
}

const explanations: Readonly<Record<string, string>> = {
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the key does not belong to the certificate',
  ERR_OSSL_PEM_NO_START_LINE: 'not a PEM file',
  ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE: 'the passphrase is wrong',
  ERR_OSSL_EVP_BAD_DECRYPT: 'the passphrase is wrong',
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: 'the key needs a passphrase',
  ERR_OSSL_BAD_DECRYPT: 'the passphrase is wrong',
  ERR_CRYPTO_UNSUPPORTED_OPERATION:
    'the PKCS#12 file is encrypted in a way that OpenSSL 3 no longer reads, or is not a PKCS#12 file: ' +
    'make it anew with openssl pkcs12 -export',
}
