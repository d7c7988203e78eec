import { X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import { parseCertificate } from '../x509/certificate.ts'
import { DerError, DerReader, tags } from '../x509/der.ts'

/** Those that have a signature scheme in TLS 1.3 (RFC 8446 section 4.2.3). */
const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1']
const ALLOWED = 'use P-256, P-384, P-521, RSA or Ed25519'

/**
 * Why a server with this identity fails every handshake of TLS 1.3, though OpenSSL takes it: `undefined` for nothing. It is
 * the same for PEM and PKCS#12.
 */
export function serverKeyProblem(secureContext: SecureContext): string | undefined {
  const der = certificateOf(secureContext)
  if (der === undefined) return undefined
  const { asymmetricKeyType, asymmetricKeyDetails } = new X509Certificate(der).publicKey
  if (asymmetricKeyType !== 'ec') return undefined
  // OpenSSL itself knows a curve by its parameters, and other clients do not.
  if (!namesCurve(der))
    return `the curve of the key is given by explicit parameters, which TLS does not allow: ${ALLOWED}`
  const curve = asymmetricKeyDetails?.namedCurve ?? 'of the key'
  return CURVES.includes(curve) ? undefined : `TLS 1.3 has no signatures with the curve ${curve}: ${ALLOWED}`
}

/** Node.js shows the certificate of a PKCS#12 file by this alone, which its types leave out. */
export function certificateOf({ context }: SecureContext): Buffer | undefined {
  const { getCertificate } = context as { readonly getCertificate?: () => Buffer | null }
  return getCertificate?.call(context) ?? undefined
}

/** Whether the parameters of the key are a name, an object identifier (RFC 5480 section 2.1.1). */
function namesCurve(der: Buffer): boolean {
  try {
    const { spki } = parseCertificate(der)
    const algorithm = new DerReader(new DerReader(new DerReader(spki).take(tags.sequence)).take(tags.sequence))
    algorithm.take(tags.oid)
    return algorithm.tag === tags.oid
  } catch (error) {
    // What is odd elsewhere in the certificate is not judged here.
    if (error instanceof DerError) return true
    throw error
  }
}
