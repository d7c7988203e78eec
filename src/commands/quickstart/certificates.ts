import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** A certificate and its private key, both as PEM. */
export interface Identity {
  readonly certificate: string
  readonly key: string
}

/** An identity that can issue others. */
export interface Authority extends Identity {
  readonly issuer: { readonly name: string; readonly keys: webcrypto.CryptoKeyPair }
}

export interface CertificateRequest {
  /** One common name, or several for the rare subject that has them. */
  readonly commonName: string | readonly string[]
  readonly usage: 'authority' | 'server' | 'client'
  /** DNS names and IP addresses for a server's subject alternative name. */
  readonly hosts?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000
const LIFETIME_MS = 7 * 24 * HOUR_MS

/** Issues a certificate with a new ECDSA P-256 key. Without `authority` it is self-signed. */
export async function issue(request: CertificateRequest, authority?: Authority): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])
  const names = typeof request.commonName === 'string' ? [request.commonName] : request.commonName
  const subject = new x509.Name(names.map((name) => ({ CN: [name] }))).toString()
  const issuer = authority?.issuer ?? { name: subject, keys }
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
    subject,
    issuer: issuer.name,
    notBefore: request.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: request.notAfter ?? new Date(Date.now() + LIFETIME_MS),
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: ECDSA,
    extensions: [
      ...extensionsFor(request),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    ],
  })
  return {
    certificate: certificate.toString('pem') + '\n',
    key: await pemOf(keys.privateKey),
    issuer: { name: subject, keys },
  }
}

/** A fresh ECDSA P-256 key, and a request for a certificate (RFC 2986) that names `host`; both as PEM. */
export async function requestCertificate(host: string): Promise<{ readonly request: string; readonly key: string }> {
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: new x509.Name([{ CN: [host] }]).toString(),
    keys,
    signingAlgorithm: ECDSA,
    extensions: extensionsFor({ commonName: host, usage: 'server', hosts: [host] }),
  })
  return { request: request.toString('pem') + '\n', key: await pemOf(keys.privateKey) }
}

const pemOf = async (key: webcrypto.CryptoKey) =>
  x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY') + '\n'

function extensionsFor({ usage, hosts = [] }: CertificateRequest): x509.Extension[] {
  if (usage === 'authority') {
    const flags = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
    return [new x509.BasicConstraintsExtension(true, undefined, true), new x509.KeyUsagesExtension(flags, true)]
  }
  const purpose = usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth
  const alternatives = hosts.map((host) => ({
    type: isAddress(host) ? ('ip' as const) : ('dns' as const),
    value: host,
  }))
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([purpose], false),
    ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
  ]
}

const isAddress = (host: string) => /^[\d.]+$/.test(host) || host.includes(':')
