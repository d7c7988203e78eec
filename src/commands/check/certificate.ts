import type { X509Certificate } from 'node:crypto'
import type { CheckId } from './catalogue.ts'
import { checkKey, checkOrder, type CertificateQuestion } from './certificate-chain.ts'
import { checkCompleteness } from './certificate-completeness.ts'
import { checkName } from './certificate-name.ts'
import { CLOCK_FIRST, isClockInDoubt } from './clock.ts'
import type { Findings } from './findings.ts'
import { climb, ownFirst, type Chain } from './server-chain.ts'
import { quoted } from '../../base/shell.ts'
import { signatureOf } from './signature.ts'
import { isSelfIssued, nameOf, strengthOf, validityOf, WARNING_DAYS } from './x509.ts'

/** Checks the server certificate, as far as that is possible from here. */
export function checkCertificate(question: CertificateQuestion, findings: Findings): void {
  checkKey(question, findings)
  checkOrder(question, findings)
  checkCompleteness(question, findings)
  const [leaf, ...others] = ownFirst(question.chain, question.own)
  const path = climb(leaf, others)
  for (const [index, certificate] of path.entries()) checkExpiry(certificate, index === 0, question, findings)
  checkName(leaf, question, findings)
  checkStrength(path, findings)
  checkUsage(path, findings)
  checkForAzure(question, findings)
}

function checkExpiry(certificate: X509Certificate, isOwn: boolean, { file }: CertificateQuestion, findings: Findings) {
  const { state, inWords, daysLeft } = validityOf(certificate)
  const more = {
    subject: nameOf(certificate),
    fields: { daysLeft, notAfter: new Date(certificate.validTo).toISOString() },
  }
  const renewal = {
    advice: isClockInDoubt(findings)
      ? CLOCK_FIRST
      : isOwn
        ? 'renew it (a running gateway reads the new one within seconds); register a new root in Azure first'
        : 'ask its CA for the current certificate',
    command: `openssl x509 -noout -subject -dates -in ${quoted(file)}`,
  }
  switch (state) {
    case 'valid':
      findings.ok('certificate.expiry', inWords, more)
      return
    case 'ends soon':
      findings.warning('certificate.expiry', `${inWords}, fewer than ${WARNING_DAYS}`, { ...more, ...renewal })
      return
    case 'ended':
      findings.problem('certificate.expiry', inWords, { ...more, ...renewal })
      return
    case 'not yet':
      findings.problem('certificate.expiry', inWords, { ...more, advice: CLOCK_FIRST })
  }
}

function checkStrength(path: Chain, findings: Findings): void {
  for (const certificate of path) {
    const { inWords, grade } = strengthOf(certificate)
    const more = { subject: nameOf(certificate), fields: { key: inWords } }
    if (grade === 'good') findings.ok('certificate.public-key', inWords, more)
    else if (grade === 'weak') {
      const advice =
        'generate a key of RSA with 2048 bits or more, or of EC P-256, and have a certificate issued for it'
      findings.problem('certificate.public-key', `${inWords} is too weak`, { ...more, advice })
    } else {
      const advice = 'use RSA with 2048 bits or more, P-256 or P-384, which every client supports'
      findings.warning('certificate.public-key', `${inWords}: Microsoft does not say whether Azure accepts it`, {
        ...more,
        advice,
      })
    }
    // A root is trusted as it is. Its own signature proves nothing.
    if (isSelfIssued(certificate) && certificate !== path[0]) continue
    const signature = signatureOf(certificate)
    if (signature.weak) {
      const advice = 'have it reissued with SHA-256 or better'
      const found = `signed with ${signature.inWords}, which can be forged`
      findings.problem('certificate.signature', found, { subject: nameOf(certificate), advice })
    } else findings.ok('certificate.signature', `signed with ${signature.inWords}`, { subject: nameOf(certificate) })
  }
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const ANY_USAGE = '2.5.29.37.0'

function checkUsage(path: Chain, findings: Findings): void {
  const [leaf, ...issuers] = path
  // Node.js names the extended key usage like this.
  const purposes = leaf.keyUsage as readonly string[] | undefined
  const more = { subject: nameOf(leaf) }
  if (purposes !== undefined && !purposes.includes(SERVER_AUTH) && !purposes.includes(ANY_USAGE)) {
    findings.problem('certificate.usage', 'its extended key usage does not allow TLS servers (serverAuth)', {
      ...more,
      advice: 'have a server certificate issued: this one is for another purpose',
    })
  } else if (issuers.some(({ ca }) => !ca)) {
    findings.problem('certificate.usage', 'it issued a certificate of the chain, but is not a CA', {
      subject: nameOf(issuers.find(({ ca }) => !ca) ?? leaf),
      advice: "replace it by the CA's certificate",
    })
  } else if (leaf.ca) {
    const found = isSelfIssued(leaf) ? 'it signed itself, and is its own CA' : 'it is the certificate of a CA'
    findings.warning('certificate.usage', found, {
      ...more,
      advice: 'have a root issue it: otherwise every renewal must be registered in Azure',
    })
  } else findings.ok('certificate.usage', 'a server certificate', more)
}

/** According to Microsoft's networking page, Managed HSM validates the chain, the validity and the name. */
const asked: readonly CheckId[] = ['certificate.chain-complete', 'certificate.expiry', 'certificate.name']

function checkForAzure(question: CertificateQuestion, findings: Findings): void {
  const problems = ids(findings, 'problem', 'certificate.')
  const open = ids(findings, 'not checked', 'certificate.').filter((id) => asked.includes(id))
  if (problems.length > 0) {
    findings.problem('certificate.azure', `Managed HSM would refuse it: ${problems.join(', ')}`, {
      advice: 'see those lines',
    })
  } else if (open.length > 0) {
    findings.notChecked('certificate.azure', `no problem was found, but these are not known: ${open.join(', ')}`, {
      advice: [
        ...(open.includes('certificate.name') ? ['--fqdn HOST'] : []),
        ...(question.serverCa === undefined ? ['--server-ca ROOT.pem'] : []),
      ].join(' and '),
    })
  } else findings.ok('certificate.azure', 'chain, validity and name are as Managed HSM requires')
}

const ids = ({ all }: Findings, wanted: string, prefix: string): CheckId[] => [
  ...new Set(all.filter(({ id, status }) => status === wanted && id.startsWith(prefix)).map(({ id }) => id)),
]
