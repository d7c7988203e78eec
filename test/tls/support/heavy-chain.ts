import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { Identity } from '../../support/pki.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }
const DAY_MS = 24 * 3_600_000

/**
 * A client certificate below this many CAs of two names and one key, each of which can have issued every other one.
 * OpenSSL searches all of them for the issuer of each, and verifies a hundred signatures.
 */
export async function makeHeavyChain(authorities = 280): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const isAuthority = new x509.BasicConstraintsExtension(true, undefined, true)
  const now = Date.now()
  const certify = async (serial: number, subject: string, issuer: string, extensions: x509.Extension[]) => {
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: (0x1000 + serial).toString(16),
      subject,
      issuer,
      notBefore: new Date(now - DAY_MS),
      notAfter: new Date(now + 30 * DAY_MS),
      publicKey: keys.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    })
    return certificate.toString('pem') + '\n'
  }
  const chain = [await certify(0, 'CN=x', 'CN=a', [])]
  for (let count = 1; count <= authorities; count += 1) {
    const [subject, issuer] = count % 2 === 1 ? (['CN=a', 'CN=b'] as const) : (['CN=b', 'CN=a'] as const)
    chain.push(await certify(count, subject, issuer, [isAuthority]))
  }
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return { certificate: chain.join(''), key: key + '\n' }
}
