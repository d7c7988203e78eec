import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { quoted } from '../../base/shell.ts'
import type { CertificateQuestion } from './certificate-chain.ts'
import type { Findings, More } from './findings.ts'
import { climb, ownFirst, type Chain } from './server-chain.ts'
import { isSelfIssued, issued, issuerNameOf, nameOf } from './x509.ts'

const ID = 'certificate.chain-complete'
const TELL_AZURE = 'az keyvault ekm-connection update --hsm-name HSM --server-ca-certificate ROOTS.pem'

/** How far the certificates of the file lead. */
interface Climbed {
  readonly path: Chain
  readonly top: X509Certificate
  /** The name of the certificate that issued `top`. */
  readonly issuer: string
  readonly fields: NonNullable<More['fields']>
}

/** Whether the certificates lead to the root that Azure is told, or might. */
export function checkCompleteness(question: CertificateQuestion, findings: Findings): void {
  const { chain, own, serverCa } = question
  const [leaf, ...others] = ownFirst(chain, own)
  const path = climb(leaf, others)
  const top = path.at(-1) ?? leaf
  const issuer = issuerNameOf(top)
  const climbed = { path, top, issuer, fields: { certificates: path.length, top: nameOf(top), issuer } }
  if (serverCa === undefined) judgeAlone(climbed, question, findings)
  else compareWithRoots(climbed, serverCa, question, findings)
}

function compareWithRoots(
  climbed: Climbed,
  serverCa: readonly X509Certificate[],
  question: CertificateQuestion,
  findings: Findings,
): void {
  const { top, fields } = climbed
  const root = serverCa.find((candidate) => candidate.fingerprint256 === top.fingerprint256 || issued(candidate, top))
  if (root === undefined) tellOtherRoot(climbed, serverCa, question, findings)
  else if (isSelfIssued(root)) findings.ok(ID, `leads to ${nameOf(root)} of --server-ca`, { fields })
  else {
    findings.warning(ID, `leads to ${nameOf(root)} of --server-ca, which is not a root`, {
      advice:
        "Managed HSM needs the root: give az the root as --server-ca-certificate, and put the others into the server's file",
      fields,
    })
  }
}

/** Either the file ends too early, or `--server-ca` is another root. Where nobody can tell, both are told. */
function tellOtherRoot(
  { path, top, issuer, fields }: Climbed,
  serverCa: readonly X509Certificate[],
  { file }: CertificateQuestion,
  findings: Findings,
): void {
  const given = serverCa.map(nameOf).join(', ')
  const root = isSelfIssued(top) ? top : findPublicRoot(top)
  if (root !== undefined) {
    findings.problem(ID, `leads to the root ${nameOf(root)}, which is not in --server-ca: that has ${given}`, {
      advice: 'tell Azure of this root before the certificate is served; or have the certificate issued by the other',
      command: TELL_AZURE,
      fields,
    })
  } else if (serverCa.some(({ subject }) => subject === top.issuer)) {
    findings.problem(ID, `the ${issuer} of --server-ca did not issue ${nameOf(top)}: it has the name and another key`, {
      advice: 'give the certificate of the CA that did: a CA that was renewed with a new key has two',
      command: TELL_AZURE,
      fields,
    })
  } else if (path.length > 1) {
    findings.problem(ID, `the file leads up to ${issuer}, which is not in --server-ca: that has ${given}`, {
      advice: `if ${issuer} is the root, --server-ca is another one: tell Azure of ${issuer}; if it is an issuing CA, append it to ${file}`,
      command: TELL_AZURE,
      fields,
    })
  } else {
    findings.problem(
      ID,
      `the certificate of ${issuer}, which issued ${nameOf(top)}, is neither in ${file} nor in --server-ca: that has ${given}`,
      {
        advice: `if ${issuer} is an issuing CA, append its certificate to the file; if it is a root, tell Azure of that one`,
        command: `cat ISSUING-CA.pem >> ${quoted(file)}`,
        fields,
      },
    )
  }
}

function judgeAlone(
  { path, top, issuer, fields }: Climbed,
  { file, chain, keyBelongs }: CertificateQuestion,
  findings: Findings,
): void {
  const publicRoot = isSelfIssued(top) ? undefined : findPublicRoot(top)
  if (!keyBelongs && path.length < chain.length) {
    findings.notChecked(ID, 'the certificates are not in order: see certificate.chain-order')
  } else if (isSelfIssued(top)) findings.ok(ID, `leads to its root, ${nameOf(top)}`, { fields })
  else if (publicRoot !== undefined) findings.ok(ID, `leads to the public root ${nameOf(publicRoot)}`, { fields })
  else if (path.length === 1 && /CA Issuers/.test(top.infoAccess ?? '')) {
    findings.warning(ID, `the file holds only ${nameOf(top)}, and its issuer ${issuer} is not a public root`, {
      advice:
        'public CAs issue through intermediates, which the server must send: append them to the file, or give the root with --server-ca',
      command: `openssl x509 -noout -ext authorityInfoAccess -in ${quoted(file)}`,
      fields,
    })
  } else {
    findings.notChecked(
      ID,
      `${issuer} issued ${nameOf(top)}, and only Azure knows whether it is a root that Azure trusts`,
      { advice: 'give the file that az got as --server-ca-certificate with --server-ca', fields },
    )
  }
}

/** Of those that Node.js brings along. */
function findPublicRoot(top: X509Certificate): X509Certificate | undefined {
  for (const pem of rootCertificates) {
    const root = new X509Certificate(pem)
    if (root.subject === top.issuer && issued(root, top)) return root
  }
  return undefined
}
