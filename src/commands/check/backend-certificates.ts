import type { X509Certificate } from 'node:crypto'
import { parsePemCertificates } from '../../settings/fields.ts'
import type { BackendConfig } from '../../backends/kinds.ts'
import type { Findings } from './findings.ts'
import { quoted } from './words.ts'
import type { WrittenSettings } from './written-settings.ts'
import { nameOf, validityOf, WARNING_DAYS } from './x509.ts'

export function checkCertificates(
  name: string,
  { tls }: Extract<BackendConfig, { kind: 'kmip' }>,
  written: WrittenSettings,
  findings: Findings,
): void {
  for (const setting of ['certificate', 'ca'] as const) {
    for (const certificate of pemCertificates(tls[setting])) {
      const { state, inWords: words, daysLeft } = validityOf(certificate)
      const found = `${setting === 'ca' ? 'the CA' : "this client's"} ${nameOf(certificate)}: ${words}`
      const file = written.path('backends', name, 'tls', setting)
      const more = { subject: name, fields: { daysLeft, setting } }
      const help = {
        ...more,
        advice: `have it renewed (fewer than ${WARNING_DAYS} days are a warning); a gateway that runs reads it within seconds`,
        ...(file !== undefined && { command: `openssl x509 -noout -subject -dates -in ${quoted(file)}` }),
      }
      if (state === 'valid') findings.ok('backend.certificates', found, more)
      else if (state === 'ends soon') findings.warning('backend.certificates', found, help)
      else findings.problem('backend.certificates', found, help)
    }
  }
}

export const pemCertificates = (pem: Uint8Array): readonly X509Certificate[] =>
  parsePemCertificates(Buffer.from(pem).toString('latin1')) ?? []
