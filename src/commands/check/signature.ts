import type { X509Certificate } from 'node:crypto'
import { context, DerError, DerReader, tags } from '../../x509/der.ts'

/** By the object identifier: RFC 3279, RFC 4055, RFC 5758 and RFC 8410. */
const names: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'RSASSA-PKCS1-v1_5 with MD2',
  '1.2.840.113549.1.1.3': 'RSASSA-PKCS1-v1_5 with MD4',
  '1.2.840.113549.1.1.4': 'RSASSA-PKCS1-v1_5 with MD5',
  '1.2.840.113549.1.1.5': 'RSASSA-PKCS1-v1_5 with SHA-1',
  '1.2.840.113549.1.1.11': 'RSASSA-PKCS1-v1_5 with SHA-256',
  '1.2.840.113549.1.1.12': 'RSASSA-PKCS1-v1_5 with SHA-384',
  '1.2.840.113549.1.1.13': 'RSASSA-PKCS1-v1_5 with SHA-512',
  '1.2.840.10040.4.3': 'DSA with SHA-1',
  '1.2.840.10045.4.1': 'ECDSA with SHA-1',
  '1.2.840.10045.4.3.2': 'ECDSA with SHA-256',
  '1.2.840.10045.4.3.3': 'ECDSA with SHA-384',
  '1.2.840.10045.4.3.4': 'ECDSA with SHA-512',
  '1.3.101.112': 'Ed25519',
  '1.3.101.113': 'Ed448',
}
const RSASSA_PSS = '1.2.840.113549.1.1.10'
const hashes: Readonly<Record<string, string>> = {
  '1.3.14.3.2.26': 'SHA-1',
  '2.16.840.1.101.3.4.2.1': 'SHA-256',
  '2.16.840.1.101.3.4.2.2': 'SHA-384',
  '2.16.840.1.101.3.4.2.3': 'SHA-512',
}

/** The signature's algorithm and hash in words, and whether it can be forged. An unknown one is told by its number. */
export function signatureOf({ raw }: X509Certificate): { readonly inWords: string; readonly weak: boolean } {
  const inWords = algorithmOf(raw)
  return { inWords, weak: /SHA-1$|MD[245]$/.test(inWords) }
}

function algorithmOf(certificate: Buffer): string {
  try {
    const members = new DerReader(certificate).sequence()
    members.take(tags.sequence)
    const algorithm = members.sequence()
    const oid = algorithm.oid()
    return oid === RSASSA_PSS ? `RSA-PSS with ${hashOf(algorithm.sequence())}` : (names[oid] ?? oid)
  } catch (error) {
    if (error instanceof DerError) return 'an algorithm that cannot be read'
    throw error
  }
}

/** RFC 4055 section 3.1: an omitted hash is SHA-1. */
function hashOf(parameters: DerReader): string {
  const explicit = parameters.optional(context(0, true))
  if (explicit === undefined) return 'SHA-1'
  const oid = new DerReader(explicit).sequence().oid()
  return hashes[oid] ?? oid
}
