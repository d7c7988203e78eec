import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { systemCode, type Secret } from '../../adapters/contract/index.ts'
import { certificatesIn } from './certificate-file.ts'
import { certificateOf, serverKeyProblem } from './server-key.ts'

type Pair = ({ readonly cert: Buffer; readonly key: Buffer } | { readonly pfx: Buffer }) & {
  readonly passphrase?: Secret
}

/** A certificate and its private key. Whatever prints it by accident prints nothing of it. */
export class Credentials {
  readonly #pair: Pair

  constructor(pair: Pair) {
    this.#pair = pair
  }

  /** In the form that Node.js's TLS takes. */
  secureContextOptions(): SecureContextOptions {
    const { passphrase, ...rest } = this.#pair
    if (passphrase === undefined) return rest
    const bytes = passphrase.reveal()
    try {
      // Node.js accepts a passphrase only as a string.
      return { ...rest, passphrase: Buffer.from(bytes.buffer).toString() }
    } finally {
      bytes.fill(0)
    }
  }

  /** Whether there is no passphrase, and they cannot be opened without one. */
  get needPassphrase(): boolean {
    const pair = this.#pair
    if (pair.passphrase !== undefined) return false
    return 'pfx' in pair
      ? failure(() => createSecureContext({ pfx: pair.pfx })) === UNOPENED_PKCS12
      : withoutPassphrase.includes(failure(() => createPrivateKey(pair.key)))
  }

  /** The certificate that a server with them shows. Undefined if TLS cannot use them. */
  get certificate(): X509Certificate | undefined {
    if (this.problem() !== undefined) return undefined
    const der = certificateOf(createSecureContext(this.secureContextOptions()))
    return der && new X509Certificate(der)
  }

  /** Why TLS cannot use them, for an operator. Undefined if it can. */
  problem(): string | undefined {
    const options = this.secureContextOptions()
    return pairProblem(options) ?? attempt(() => createSecureContext(options), contextProblems)
  }

  /** Why a server of TLS 1.3 cannot use them. */
  serverProblem(): string | undefined {
    return this.problem() ?? serverKeyProblem(createSecureContext(this.secureContextOptions()))
  }
}

/** OpenSSL itself accepts an RSA key with an ECDSA certificate, and then fails every handshake. */
function pairProblem({ cert, key, passphrase }: SecureContextOptions): string | undefined {
  if (!Buffer.isBuffer(cert) || !Buffer.isBuffer(key)) return undefined
  return (
    attempt(() => new X509Certificate(cert), certificateProblems) ??
    attempt(() => createPrivateKey({ key, passphrase }), keyProblems) ??
    strangerProblem(cert, createPrivateKey({ key, passphrase }))
  )
}

function strangerProblem(cert: Buffer, key: KeyObject): string | undefined {
  if (new X509Certificate(cert).checkPrivateKey(key)) return undefined
  const at = certificatesIn(cert).findIndex((certificate) => certificate.checkPrivateKey(key))
  return at === -1
    ? 'the key does not belong to the certificate'
    : `the key belongs to certificate number ${at + 1} of the file: put that first`
}

type Explanations = Readonly<Record<string, string>> & { readonly other?: string }

function attempt(use: () => unknown, explanations: Explanations): string | undefined {
  const code = failure(use)
  return code === undefined ? undefined : (explanations[code] ?? explanations.other ?? code)
}

/** The code with which it fails. */
function failure(use: () => unknown): string | undefined {
  try {
    use()
    return undefined
  } catch (error) {
    return systemCode(error)
  }
}

const NO_PASSPHRASE = 'the key needs a passphrase'
const withoutPassphrase: readonly (string | undefined)[] = [
  'ERR_MISSING_PASSPHRASE',
  'ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED',
]
/** Node.js gives this error a message but no code. */
const UNOPENED_PKCS12 = 'unknown error'

const certificateProblems: Explanations = { other: 'the certificate is neither PEM nor DER, or is damaged' }

const keyProblems: Explanations = {
  ERR_MISSING_PASSPHRASE: NO_PASSPHRASE,
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: NO_PASSPHRASE,
  ERR_OSSL_BAD_DECRYPT: 'the passphrase is wrong',
  ERR_OSSL_EVP_BAD_DECRYPT: 'the passphrase is wrong',
  ERR_OSSL_EVP_UNSUPPORTED:
    'the key is encrypted in a way that OpenSSL 3 no longer reads (DES, RC2 or RC4): write it anew with ' +
    'openssl pkey -provider legacy -provider default -aes256 -in OLD.key -out NEW.key',
  other: 'the key is not a PEM file, or is damaged',
}

const contextProblems: Explanations = {
  ERR_OSSL_PEM_NO_START_LINE: 'the certificate is not a PEM file',
  ERR_SSL_EE_KEY_TOO_SMALL: 'the key is too short to be safe',
  [UNOPENED_PKCS12]: 'the passphrase is wrong, or the file is not a PKCS#12 file',
  ERR_CRYPTO_OPERATION_FAILED: 'the PKCS#12 file lacks a certificate or its private key',
  ERR_CRYPTO_UNSUPPORTED_OPERATION:
    'the PKCS#12 file is encrypted in a way that OpenSSL 3 no longer reads (RC2 or DES): read it with ' +
    'openssl pkcs12 -legacy -in OLD.p12 -out ALL.pem, and make it anew with openssl pkcs12 -export -in ALL.pem -out NEW.p12',
}
