import { quoted } from '../../base/shell.ts'
import { rowOf } from '../../backends/index.ts'
import type { BackendQuestion } from './backend-question.ts'
import { CLOCK_FIRST, isClockInDoubt } from './clock.ts'
import type { Findings } from './findings.ts'
import { nameOf, validityOf, WARNING_DAYS } from './x509.ts'

export function checkCertificates({ name, settings, written }: BackendQuestion, findings: Findings): void {
  for (const { role, setting, certificate } of rowOf(settings).certificates(settings)) {
    const { state, inWords: words, daysLeft } = validityOf(certificate)
    const found = `${role === 'ca' ? 'the CA' : "this client's"} ${nameOf(certificate)}: ${words}`
    const file = written.path('backends', name, ...setting)
    const more = { subject: name, fields: { daysLeft, setting: setting.at(-1) ?? '' } }
    const help = {
      ...more,
      advice: isClockInDoubt(findings)
        ? CLOCK_FIRST
        : `have it renewed (fewer than ${WARNING_DAYS} days are a warning); a running gateway reads the new one within seconds`,
      ...(file !== undefined && { command: `openssl x509 -noout -subject -dates -in ${quoted(file)}` }),
    }
    if (state === 'valid') findings.ok('backend.certificates', found, more)
    else if (state === 'ends soon') findings.warning('backend.certificates', found, help)
    else findings.problem('backend.certificates', found, help)
  }
}
