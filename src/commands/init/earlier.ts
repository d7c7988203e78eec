import type { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseDocument, type Document } from 'yaml'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { readFileOf, secretAt } from '../../backends/init-files.ts'
import { ENV, type Question, type SecretPlace } from '../../backends/interview.ts'
import { readSource } from '../../config/load.ts'
import { ConfigInvalid, shapeProblems } from '../../config/make.ts'
import { at } from '../../config/problem.ts'
import { parseCertificates } from '../../settings/certificate-file.ts'
import { Credentials } from '../../settings/credentials.ts'
import type { References } from '../../settings/fields.ts'
import { readTrusted } from '../../settings/files.ts'
import { decodeText } from '../../settings/text-file.ts'
import { questions } from './questions.ts'

/** A configuration that was there before. */
export interface EarlierFile {
  readonly document: Document
  readonly data: unknown
}

/** `undefined` where there is none. Throws {@link ConfigInvalid} for one that no answer could make right. */
export function readEarlier(file: string, references: References): EarlierFile | undefined {
  if (!existsSync(file)) return undefined
  let bytes: Uint8Array = Buffer.alloc(0)
  const source = readSource(file, (path) => (bytes = readTrusted(path)))
  const problems = shapeProblems(source, references)
  if (problems.length > 0) throw new ConfigInvalid(problems)
  return { document: parseDocument(decodeText(bytes)), data: source.data }
}

export function textAt(data: unknown, path: readonly (string | number)[]): string | undefined {
  const found = at(data, path)
  return typeof found === 'string' || typeof found === 'number' ? String(found) : undefined
}

/** The place of the pool of that name, or of the only one. */
export function poolIndex(data: unknown, name?: string): number {
  const pools = at(data, ['pools'])
  if (!Array.isArray(pools)) return -1
  if (name === undefined) return pools.length === 1 ? 0 : -1
  return pools.findIndex((pool) => textAt(pool, ['name']) === name)
}

/** What the earlier file has at the question's place within `section`. */
export const within =
  (section: unknown) =>
  ({ setting }: Question): string | undefined =>
    setting && typed(section, setting)

/** How an operator would type what stands at `path`: of a mapping, such as a secret's place, its first member. */
function typed(data: unknown, path: readonly string[]): string | undefined {
  const found = at(data, path)
  const [first] = typeof found === 'object' && found !== null ? Object.keys(found) : []
  if (first === undefined) return textAt(data, path)
  const text = textAt(data, [...path, first])
  return text !== undefined && first === 'env' ? ENV + text : text
}

const TLS = ['listen', 'tls'] as const

/** The file of the server's certificate, PEM or PKCS#12. */
export const certificateIn = (data: unknown): string | undefined =>
  textAt(data, [...TLS, 'pkcs12']) ?? textAt(data, [...TLS, 'certificate'])

/** What the earlier file says outside of backends and pools, by question. */
export function earlierAnswers(data: unknown, references: References): (question: Question) => string | undefined {
  if (data === undefined) return () => undefined
  const found = new Map<string, string | undefined>([
    [questions.hsm.option, textAt(data, ['pools', poolIndex(data), 'name'])],
    [questions.host.option, hostIn(data, references)],
    [questions.address.option, textAt(data, ['listen', 'host'])],
    [questions.port.option, textAt(data, ['listen', 'port'])],
    [questions.adminPort.option, textAt(data, ['admin', 'port']) ?? 'none'],
    [questions.certificate.option, certificateIn(data)],
    [questions.key.option, textAt(data, [...TLS, 'key'])],
    [`${questions.passphrase.secret}-file`, typed(data, [...TLS, 'passphrase'])],
  ])
  return ({ option }) => found.get(option)
}

/** The first DNS name of the certificate that an earlier configuration names. */
function hostIn(data: unknown, references: References): string | undefined {
  const names = /DNS:([^,*]+)/.exec(leafIn(data, references)?.subjectAltName ?? '')
  return names?.[1]
}

/** Undefined for what cannot be read any more: it is asked for anew, and refused there. */
function leafIn(data: unknown, references: References): X509Certificate | undefined {
  const pathAt = (setting: string) => {
    const path = textAt(data, [...TLS, setting])
    return path === undefined ? undefined : resolve(references.directory, path)
  }
  const [certificate, pkcs12] = [pathAt('certificate'), pathAt('pkcs12')]
  try {
    if (certificate !== undefined) return parseCertificates(readFileOf(certificate))?.[0]
    if (pkcs12 === undefined) return undefined
    const place = at(data, [...TLS, 'passphrase']) as SecretPlace | undefined
    const passphrase = place && { passphrase: secretAt(place, references) }
    return new Credentials({ pfx: readFileOf(pkcs12, 'secret'), ...passphrase }).certificate
  } catch (error) {
    if (error instanceof OperatorError) return undefined
    throw error
  }
}
