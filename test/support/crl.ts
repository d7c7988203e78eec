import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { Authority, Identity } from './pki.ts'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3_600_000

export interface ListRequest {
  readonly revoked?: readonly Identity[]
  /** Serial numbers that a delta list removes from its base. */
  readonly removed?: readonly Identity[]
  readonly thisUpdate?: Date
  readonly nextUpdate?: Date | 'none'
  /** The signing key, if not the issuer's own. */
  readonly signer?: Authority
  readonly number?: number
  /** The number of a delta list's base. */
  readonly base?: number
  readonly more?: readonly x509.Extension[]
}

const integer = (number: number) => Buffer.of(0x02, 0x01, number)

const serialOf = ({ certificate }: Identity) => new X509Certificate(certificate).serialNumber.toLowerCase()

const entryOf = (identity: Identity, reason: x509.X509CrlReason) => ({
  serialNumber: serialOf(identity),
  revocationDate: new Date(Date.now() - HOUR_MS),
  reason,
})

/** A revocation list, PEM. */
export async function makeList(issuer: Authority, request: ListRequest = {}): Promise<string> {
  const { nextUpdate = new Date(Date.now() + 24 * HOUR_MS) } = request
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.issuer.name,
    thisUpdate: request.thisUpdate ?? new Date(Date.now() - HOUR_MS),
    ...(nextUpdate !== 'none' && { nextUpdate }),
    entries: [
      ...(request.revoked ?? []).map((identity) => entryOf(identity, x509.X509CrlReason.keyCompromise)),
      ...(request.removed ?? []).map((identity) => entryOf(identity, x509.X509CrlReason.removeFromCRL)),
    ],
    extensions: [
      ...(request.number === undefined ? [] : [new x509.Extension('2.5.29.20', false, integer(request.number))]),
      ...(request.base === undefined ? [] : [new x509.Extension('2.5.29.27', true, integer(request.base))]),
      ...(request.more ?? []),
    ],
    signingAlgorithm: ECDSA,
    signingKey: (request.signer ?? issuer).issuer.keys.privateKey,
  })
  // RFC 7468 section 6.
  return x509.PemConverter.encode(list.rawData, 'X509 CRL') + '\n'
}

export const derOf = (pem: string): Buffer => Buffer.from(pem.replaceAll(/-----[^-]+-----/g, ''), 'base64')
