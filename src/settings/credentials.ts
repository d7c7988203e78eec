import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { systemCode, type Secret } from '../../adapters/contract/index.ts'

type Source = ({ readonly cert: Buffer; readonly key: Buffer } | { readonly pfx: Buffer }) & {
  readonly passphrase?: Secret
}

/** A certificate and its private key. Prints as nothing, wherever it may be printed by accident. */
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
    const options = this.secureContextOptions()
    return pairProblem(options) ?? attempt(() => createSecureContext(options), contextProblems)
  }
}

/** OpenSSL itself would take an RSA key with an ECDSA certificate, and then fail every handshake. */
function pairProblem({ cert, key, passphrase }: SecureContextOptions): string | undefined {
  if (!Buffer.isBuffer(cert) || !Buffer.isBuffer(key)) return undefined
  const belongs = () => new X509Certificate(cert).checkPrivateKey(createPrivateKey({ key, passphrase }))
  return (
    attempt(() => new X509Certificate(cert), certificateProblems) ??
    attempt(() => createPrivateKey({ key, passphrase }), keyProblems) ??
    (belongs() ? undefined : 'the key does not belong to the certificate')
  )
}

type Explanations = Readonly<Record<string, string>> & { readonly other?: string }

function attempt(use: () => unknown, explanations: Explanations): string | undefined {
  try {
    use()
    return undefined
  } catch (error) {
    const code = systemCode(error)
    return explanations[code] ?? explanations.other ?? code
  }
}

const NO_PASSPHRASE = 'the key needs a passphrase'

const certificateProblems: Explanations = { other: 'the certificate is not a PEM file, or is damaged' }

const keyProblems: Explanations = {
  ERR_MISSING_PASSPHRASE: NO_PASSPHRASE,
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: NO_PASSPHRASE,
  ERR_OSSL_BAD_DECRYPT: 'the passphrase is wrong',
  ERR_OSSL_EVP_BAD_DECRYPT: 'the passphrase is wrong',
  other: 'the key is not a PEM file, or is damaged',
}

const contextProblems: Explanations = {
  ERR_OSSL_PEM_NO_START_LINE: 'the certificate is not a PEM file',
  ERR_SSL_EE_KEY_TOO_SMALL: 'the key is too short to be safe',
  // Node.js gives these a message and no code.
  'unknown error': 'the passphrase is wrong, or the file is not a PKCS#12 file',
  ERR_CRYPTO_OPERATION_FAILED: 'the PKCS#12 file lacks a certificate or its private key',
  ERR_CRYPTO_UNSUPPORTED_OPERATION:
    'the PKCS#12 file is encrypted in a way that OpenSSL 3 no longer reads: make it anew with openssl pkcs12 -export',
}
