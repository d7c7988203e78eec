import type { X509Certificate } from 'node:crypto'
import { parseCertificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import type { Revocation } from '../x509/revocation.ts'
import * as v from 'valibot'
import { about, certificates, file, mapping, nonEmptyListOf, text, type References } from '../settings/fields.ts'
import { parseCertificates } from '../settings/certificate-file.ts'
import { decodeText } from '../settings/text-file.ts'
import { revocation } from './revocation-lists.ts'

/** Who may use a pool: a client with a subject CN of the list *and* a path to one of the roots. */
export interface AllowedClients {
  readonly commonNames: readonly string[]
  readonly roots: readonly X509Certificate[]
  /** Configured certificates that are not roots, such as an issuing CA's. */
  readonly intermediates: readonly X509Certificate[]
  /** Undefined: revocation is not checked. */
  readonly revocation?: Revocation
}

/** The output of `az keyvault ekm-connection certificate show`. Other members are ignored. */
const azureOutput = v.object({
  subjectCommonName: v.pipe(v.string(), v.nonEmpty()),
  caCertificates: v.pipe(v.array(v.string()), v.minLength(1)),
})

export const isSelfIssued = (certificate: X509Certificate) =>
  certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey)

/** Also if its key usage forbids it to sign certificates. */
function isSelfSigned(certificate: X509Certificate): boolean {
  const { isSelfIssued, keyUsage } = parseCertificate(certificate.raw)
  return isSelfIssued && keyUsage?.keyCertSign === false && certificate.verify(certificate.publicKey)
}

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
        about(
          'The file that az keyvault ekm-connection certificate show printed.',
          azureOutputFile(references),
          'contoso.json',
        ),
      ),
      subjectCommonNames: v.exactOptional(
        about("Common names of the clients' certificates.", nonEmptyListOf(text()), [
          'contoso.managedhsmclient.azure.net',
        ]),
      ),
      caCertificates: v.exactOptional(
        about(
          "PEM or DER files of the CA certificates that issue the clients' certificates, at least one root among them.",
          nonEmptyListOf(certificates(references)),
          ['managed-hsm-root-ca.pem'],
        ),
      ),
      revocation: v.exactOptional(
        about('Where to look up revoked certificates. Without it, revocation is not checked.', revocation(references)),
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
        addIssue({
          message: `has a CA certificate that does not follow RFC 5280, or is too large, number ${malformed + 1}`,
        })
        return NEVER
      }
      const roots = entry.given.filter(isSelfIssued)
      if (roots.length === 0) {
        addIssue({
          message: entry.given.some(isSelfSigned)
            ? 'has no root CA: its self-signed certificate may not sign certificates, because its key usage lacks keyCertSign'
            : 'has no root CA: none of its CA certificates is self-signed',
        })
        return NEVER
      }
      const intermediates = entry.given.filter((certificate) => !roots.includes(certificate))
      return { commonNames: entry.commonNames, roots, intermediates, ...(revocation && { revocation }) }
    }),
  )

/** The name and CAs in the output of `az keyvault ekm-connection certificate show`. Undefined for any other text. */
export function parseAzureOutput(bytes: Uint8Array): { commonNames: string[]; given: X509Certificate[] } | undefined {
  try {
    const { subjectCommonName, caCertificates } = v.parse(azureOutput, JSON.parse(decodeText(bytes)))
    const given = caCertificates.map(certificatesOf)
    const complete = given.every((certificates) => certificates !== undefined)
    return complete ? { commonNames: [subjectCommonName], given: given.flat() } : undefined
  } catch {
    return undefined
  }
}

/** An entry is PEM, or base64 of DER or PEM. */
const certificatesOf = (entry: string): X509Certificate[] | undefined =>
  parseCertificates(Buffer.from(entry, entry.includes('-----BEGIN') ? 'utf8' : 'base64'))
