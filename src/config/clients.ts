import { X509Certificate } from 'node:crypto'
import { parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import type { Revocation } from '../x509/revocation.ts'
import * as v from 'valibot'
import {
  about,
  certificates,
  file,
  mapping,
  nonEmptyListOf,
  parsePemCertificates,
  text,
  type References,
} from '../settings/fields.ts'
import { revocation } from './revocation-lists.ts'

/** Who may use a pool: a subject CN of the list *and* a chain to one of the roots. */
export interface AllowedClients {
  readonly commonNames: readonly string[]
  readonly roots: readonly X509Certificate[]
  /** Certificates that were given beside the roots, such as an issuing CA's. */
  readonly intermediates: readonly X509Certificate[]
  /** Without it, nobody asks whether a certificate was revoked. */
  readonly revocation?: Revocation
}

/** What `az keyvault ekm-connection certificate show` prints; further members are ignored. */
const azureOutput = v.object({
  subjectCommonName: v.pipe(v.string(), v.nonEmpty()),
  caCertificates: v.pipe(v.array(v.string()), v.minLength(1)),
})

export const isSelfIssued = (certificate: X509Certificate) =>
  certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)

function isWellFormed({ raw }: X509Certificate): boolean {
  try {
    parseCertificate(raw)
    return true
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

const azureOutputFile = (references: References) =>
  v.pipe(
    file(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const parsed = parseAzureOutput(dataset.value)
      if (parsed !== undefined) return parsed
      addIssue({
        message:
          'names a file that is not the output of az keyvault ekm-connection certificate show ' +
          '(JSON with subjectCommonName and caCertificates)',
      })
      return NEVER
    }),
  )

/** One entry of a pool's `clients`. */
export const clientEntry = (references: References) =>
  v.pipe(
    mapping({
      azureCertificate: v.exactOptional(
        about('The file that az keyvault ekm-connection certificate show printed.', azureOutputFile(references)),
      ),
      subjectCommonNames: v.exactOptional(about("Common names of the clients' certificates.", nonEmptyListOf(text()))),
      caCertificates: v.exactOptional(
        about(
          "PEM files of the CA certificates that issue the clients' certificates, at least one root among them.",
          nonEmptyListOf(certificates(references)),
        ),
      ),
      revocation: v.exactOptional(
        about('Where revoked certificates are looked up; nowhere if this is absent.', revocation(references)),
      ),
    }),
    v.rawTransform(({ dataset, addIssue, NEVER }): AllowedClients => {
      const { azureCertificate, subjectCommonNames, caCertificates, revocation } = dataset.value
      const named = subjectCommonNames &&
        caCertificates && { commonNames: subjectCommonNames, given: caCertificates.flat() }
      const listed = subjectCommonNames !== undefined || caCertificates !== undefined
      const entry = azureCertificate ?? named
      if (entry === undefined || (azureCertificate !== undefined && listed)) {
        addIssue({ message: 'must have either azureCertificate, or subjectCommonNames and caCertificates' })
        return NEVER
      }
      const malformed = entry.given.findIndex((certificate) => !isWellFormed(certificate))
      if (malformed !== -1) {
        addIssue({ message: `has a CA certificate that is not in the form of RFC 5280, number ${malformed + 1}` })
        return NEVER
      }
      const roots = entry.given.filter(isSelfIssued)
      if (roots.length === 0) {
        addIssue({ message: 'has no root CA: none of its CA certificates is self-signed' })
        return NEVER
      }
      const intermediates = entry.given.filter((certificate) => !roots.includes(certificate))
      return { commonNames: entry.commonNames, roots, intermediates, ...(revocation && { revocation }) }
    }),
  )

/** The names and CAs of `az keyvault ekm-connection certificate show`; `undefined` for anything else. */
export function parseAzureOutput(bytes: Uint8Array): { commonNames: string[]; given: X509Certificate[] } | undefined {
  try {
    const { subjectCommonName, caCertificates } = v.parse(azureOutput, JSON.parse(new TextDecoder().decode(bytes)))
    const given = caCertificates.map((text) =>
      text.includes('-----BEGIN') ? parsePemCertificates(text) : [new X509Certificate(Buffer.from(text, 'base64'))],
    )
    const complete = given.every((certificates) => certificates !== undefined)
    return complete ? { commonNames: [subjectCommonName], given: given.flat() } : undefined
  } catch {
    return undefined
  }
}
