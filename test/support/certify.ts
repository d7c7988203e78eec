import 'reflect-metadata'
import { randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000

/** A name with a key: what certificates are about, and who signs them. */
export interface Entity {
  readonly name: string
  readonly keys: webcrypto.CryptoKeyPair
}

export const entity = async (name: string, namedCurve = 'P-256'): Promise<Entity> => ({
  name: `CN=${name}`,
  keys: await webcrypto.subtle.generateKey({ ...ECDSA, namedCurve }, true, ['sign', 'verify']),
})

export interface Claims {
  /** Default: a CA. */
  readonly cA?: boolean
  readonly pathLen?: number
  readonly more?: readonly x509.Extension[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  /** Key identifiers help a search; by default there are none. */
  readonly identifiers?: boolean
}

/** The certificate by which `issuer` says who `subject` is, as PEM. */
export async function certify(subject: Entity, issuer: Entity, claims: Claims = {}): Promise<string> {
  const { cA = true, pathLen, more = [], identifiers = false } = claims
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
    subject: subject.name,
    issuer: issuer.name,
    notBefore: claims.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: claims.notAfter ?? new Date(Date.now() + HOUR_MS),
    publicKey: subject.keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { ...ECDSA, hash: 'SHA-256' },
    extensions: [
      new x509.BasicConstraintsExtension(cA, pathLen, true),
      ...(identifiers ? [await x509.SubjectKeyIdentifierExtension.create(subject.keys.publicKey)] : []),
      ...(identifiers ? [await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey)] : []),
      ...more,
    ],
  })
  return certificate.toString('pem') + '\n'
}

export const parsed = (pem: string): Certificate => parseCertificate(new X509Certificate(pem).raw)
