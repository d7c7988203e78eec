import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseCertificates } from '../../settings/certificate-file.ts'
import { isSelfIssued, issued } from './x509.ts'
import type { WrittenSettings } from './written-settings.ts'

/** The files that `listen.tls` names. */
export type ServerFiles =
  | { readonly kind: 'pem'; readonly file: string; readonly keyFile: string | undefined; readonly chain: Chain }
  /** Only OpenSSL opens it, so its chain is known only when it is sent. */
  | { readonly kind: 'pkcs12'; readonly file: string }

/** The server's own certificate, then the others in the order of the file or of the handshake. */
export type Chain = readonly [leaf: X509Certificate, ...others: X509Certificate[]]

/** Undefined if nothing can be read. configuration.valid reports why. */
export function readServerFiles(written: WrittenSettings): ServerFiles | undefined {
  const pkcs12 = written.path('listen', 'tls', 'pkcs12')
  if (pkcs12 !== undefined) return { kind: 'pkcs12', file: pkcs12 }
  const file = written.path('listen', 'tls', 'certificate')
  const [leaf, ...others] =
    (file === undefined ? undefined : attempt(() => parseCertificates(readFileSync(file)))) ?? []
  if (file === undefined || leaf === undefined) return undefined
  return { kind: 'pem', file, keyFile: written.path('listen', 'tls', 'key'), chain: [leaf, ...others] }
}

/** Reads a private key that needs no passphrase. Undefined if it cannot be read. */
export const readPrivateKey = (file: string): KeyObject | undefined =>
  attempt(() => createPrivateKey(readFileSync(file)))

/**
 * The position of the server's own certificate in its file: the one that belongs to `key`. Without such a one it is the
 * only certificate that is no CA's, or else the first.
 */
export function positionOfOwn(chain: Chain, key: KeyObject | undefined): number {
  const byKey = key === undefined ? -1 : chain.findIndex((certificate) => certificate.checkPrivateKey(key))
  if (byKey !== -1) return byKey
  const ofNoCa = chain.flatMap(({ ca }, index) => (ca ? [] : [index]))
  return (ofNoCa.length === 1 ? ofNoCa[0] : undefined) ?? 0
}

/** With the server's own certificate in front, and the others as they come. */
export function ownFirst(chain: Chain, own: number): Chain {
  const [leaf = chain[0], ...others] = [...chain.slice(own, own + 1), ...chain.slice(0, own), ...chain.slice(own + 1)]
  return [leaf, ...others]
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

const MAX_PATH_LENGTH = 8

/** The path from the leaf upwards, as far as `others` lead, in whatever order they are. */
export function climb(leaf: X509Certificate, others: readonly X509Certificate[]): Chain {
  const path: [X509Certificate, ...X509Certificate[]] = [leaf]
  for (let top = leaf; path.length < MAX_PATH_LENGTH && !isSelfIssued(top);) {
    const issuer = others.find((candidate) => !path.includes(candidate) && issued(candidate, top))
    if (issuer === undefined) break
    path.push(issuer)
    top = issuer
  }
  return path
}
