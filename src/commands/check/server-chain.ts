import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parsePemCertificates } from '../../settings/fields.ts'
import { isSelfIssued, issued } from './x509.ts'
import type { WrittenSettings } from './written-settings.ts'

/** What `listen.tls` names. */
export type ServerFiles =
  | { readonly kind: 'pem'; readonly file: string; readonly keyFile: string | undefined; readonly chain: Chain }
  /** Only OpenSSL opens it: the chain is seen when it is sent. */
  | { readonly kind: 'pkcs12'; readonly file: string }

/** The server's own certificate, then what came with it, in the order in which it came. */
export type Chain = readonly [leaf: X509Certificate, ...others: X509Certificate[]]

/** `undefined` where nothing can be read; the configuration's own check says why. */
export function readServerFiles(written: WrittenSettings): ServerFiles | undefined {
  const pkcs12 = written.path('listen', 'tls', 'pkcs12')
  if (pkcs12 !== undefined) return { kind: 'pkcs12', file: pkcs12 }
  const file = written.path('listen', 'tls', 'certificate')
  const text = file === undefined ? undefined : attempt(() => readFileSync(file, 'latin1'))
  const [leaf, ...others] = (text === undefined ? undefined : parsePemCertificates(text)) ?? []
  if (file === undefined || leaf === undefined) return undefined
  return { kind: 'pem', file, keyFile: written.path('listen', 'tls', 'key'), chain: [leaf, ...others] }
}

/** A private key that needs no passphrase. */
export const readPrivateKey = (file: string): KeyObject | undefined =>
  attempt(() => createPrivateKey(readFileSync(file)))

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

const MAX_PATH_LENGTH = 8

/** From the leaf upwards as far as `others` lead, in whatever order they are. */
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
