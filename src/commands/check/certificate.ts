import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import type { CheckId } from './catalogue.ts'
import type { Findings } from './findings.ts'
import { climb, readPrivateKey, type Chain } from './server-chain.ts'
import { quoted } from './words.ts'
import {
  isSelfIssued,
  issued,
  issuerNameOf,
  nameOf,
  signatureOf,
  strengthOf,
  validityOf,
  WARNING_DAYS,
} from './x509.ts'

export interface CertificateQuestion {
  /** The file of the certificate, for commands. */
  readonly file: string
  readonly keyFile: string | undefined
  readonly chain: Chain
  /** Its order is the operator's; not that of a PKCS#12 file. */
  readonly ordered: boolean
  /** Loading the configuration has shown already that key and certificate belong together. */
  readonly keyBelongs: boolean
  readonly fqdn: string | undefined
  readonly serverCa: readonly X509Certificate[] | undefined
}

/** The server certificate, as far as it can be judged from here. */
export function checkCertificate(question: CertificateQuestion, findings: Findings): void {
  checkKey(question, findings)
  checkOrder(question, findings)
  checkCompleteness(question, findings)
  const { chain, fqdn } = question
  const path = climb(chain[0], chain.slice(1))
  for (const [index, certificate] of path.entries()) checkExpiry(certificate, index === 0, question, findings)
  checkName(chain[0], fqdn, findings)
  checkStrength(path, findings)
  checkUsage(path, findings)
  checkForAzure(question, findings)
}

function checkKey({ file, keyFile, chain, keyBelongs }: CertificateQuestion, findings: Findings): void {
  if (keyBelongs) {
    findings.ok('certificate.key-match', 'the private key belongs to the certificate')
    return
  }
  const key = keyFile === undefined ? undefined : readPrivateKey(keyFile)
  if (keyFile === undefined || key === undefined) {
    findings.notChecked('certificate.key-match', 'the private key cannot be read, or needs a passphrase', {
      advice: 'it is checked once the configuration is valid',
    })
  } else if (chain.some((certificate) => certificate.checkPrivateKey(key))) {
    findings.ok('certificate.key-match', 'the private key belongs to a certificate of the file')
  } else {
    findings.problem('certificate.key-match', `${keyFile} does not belong to ${file}`, {
      advice: 'find the key that the certificate was asked for with; its public key is the same',
      command: `openssl x509 -noout -pubkey -in ${quoted(file)}; openssl pkey -pubout -in ${quoted(keyFile)}`,
    })
  }
}

function checkOrder({ file, keyFile, chain, ordered, keyBelongs }: CertificateQuestion, findings: Findings): void {
  if (!ordered) {
    findings.notChecked('certificate.chain-order', 'OpenSSL puts the certificates of a PKCS#12 file in order itself')
    return
  }
  const key = keyBelongs || keyFile === undefined ? undefined : readPrivateKey(keyFile)
  const own = key === undefined ? 0 : chain.findIndex((certificate) => certificate.checkPrivateKey(key))
  if (own > 0) {
    findings.problem('certificate.chain-order', `the server's own certificate is number ${own + 1} in ${file}`, {
      advice: "put it first, then its issuer's, and so on upwards",
      command: `openssl storeutl -noout -text -certs ${quoted(file)} | grep -E 'Subject:|Issuer:'`,
    })
    return
  }
  const stray = chain.findIndex((certificate, index) => {
    const below = chain[index - 1]
    return below !== undefined && !issued(certificate, below)
  })
  const at = chain[stray]
  if (at === undefined) {
    const words = chain.length === 1 ? 'one certificate' : `${chain.length} certificates, each followed by its issuer's`
    findings.ok('certificate.chain-order', words)
    return
  }
  findings.warning('certificate.chain-order', `number ${stray + 1} in ${file}, ${nameOf(at)}, did not issue the one before it`, {
    advice: 'bring the issuers in order, and leave out what does not belong: not every client sorts them (RFC 8446 section 4.4.2)',
    command: `openssl storeutl -noout -text -certs ${quoted(file)} | grep -E 'Subject:|Issuer:'`,
  })
} // prettier-ignore

function checkCompleteness({ file, chain, serverCa, keyBelongs }: CertificateQuestion, findings: Findings): void {
  const id = 'certificate.chain-complete'
  // Without a key that says which is the server's own, the first may be any.
  const path = climb(chain[0], chain.slice(1))
  const top = path.at(-1) ?? chain[0]
  const missing = issuerNameOf(top)
  const fields = { certificates: path.length, top: nameOf(top), issuer: missing }
  if (serverCa !== undefined) {
    const root = serverCa.find((candidate) => candidate.fingerprint256 === top.fingerprint256 || issued(candidate, top))
    if (root !== undefined && isSelfIssued(root)) findings.ok(id, `leads to ${nameOf(root)} of --server-ca`, { fields })
    else if (root !== undefined) {
      findings.warning(id, `leads to ${nameOf(root)} of --server-ca, which is not a root`, {
        advice: "Managed HSM wants the root: give that to az as --server-ca-certificate, and the rest to the server's file",
        fields,
      })
    } else if (isSelfIssued(top)) {
      findings.problem(id, `leads to the root ${nameOf(top)}, which is not in --server-ca`, {
        advice: 'tell Azure of this root before the certificate is served',
        command: 'az keyvault ekm-connection update --hsm-name HSM --server-ca-certificate ROOTS.pem',
        fields,
      })
    } else {
      findings.problem(id, `the certificate of ${missing}, which issued ${nameOf(top)}, is neither in ${file} nor in --server-ca`, {
        advice: "append the issuing CA's certificate to the file",
        command: `cat ISSUING-CA.pem >> ${quoted(file)}`,
        fields,
      })
    }
    return
  }
  const publicRoot = isSelfIssued(top) ? undefined : findPublicRoot(top)
  if (!keyBelongs && path.length < chain.length) findings.notChecked(id, 'the order of the certificates is to be put right first')
  else if (isSelfIssued(top)) findings.ok(id, `leads to its root, ${nameOf(top)}`, { fields })
  else if (publicRoot !== undefined) findings.ok(id, `leads to the public root ${nameOf(publicRoot)}`, { fields })
  else if (path.length === 1 && /CA Issuers/.test(top.infoAccess ?? '')) {
    findings.warning(id, `the file has no other certificate than ${nameOf(top)}, and its issuer ${missing} is no public root`, {
      advice: 'public CAs issue through intermediates, which the server must send: append them to the file, or give the root as --server-ca',
      command: `openssl x509 -noout -ext authorityInfoAccess -in ${quoted(file)}`,
      fields,
    })
  } else {
    findings.notChecked(id, `whether ${missing}, which issued ${nameOf(top)}, is the root that Azure was told cannot be seen from here`, {
      advice: 'give the file that Azure got as --server-ca-certificate as --server-ca',
      fields,
    })
  }
} // prettier-ignore

/** Of those that Node.js brings along. */
function findPublicRoot(top: X509Certificate): X509Certificate | undefined {
  for (const pem of rootCertificates) {
    const root = new X509Certificate(pem)
    if (root.subject === top.issuer && issued(root, top)) return root
  }
  return undefined
}

function checkExpiry(certificate: X509Certificate, isOwn: boolean, { file }: CertificateQuestion, findings: Findings) {
  const { state, inWords, daysLeft } = validityOf(certificate)
  const more = {
    subject: nameOf(certificate),
    fields: { daysLeft, notAfter: new Date(certificate.validTo).toISOString() },
  }
  const renewal = {
    advice: isOwn
      ? 'renew it, and restart; under another root, tell Azure of that first'
      : 'ask its CA for the current one',
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
      findings.problem('certificate.expiry', inWords, { ...more, advice: 'is the clock right? see clock.plausible' })
  }
}

function checkName(leaf: X509Certificate, fqdn: string | undefined, findings: Findings): void {
  const names = leaf.subjectAltName ?? 'no subject alternative name'
  const more = { fields: { names } }
  if (fqdn === undefined) {
    findings.notChecked('certificate.name', `the certificate names ${names}`, {
      ...more,
      advice: 'give the --host that Azure was told as --fqdn',
    })
  } else if (leaf.checkHost(fqdn, { subject: 'never' }) !== undefined) {
    findings.ok('certificate.name', `the certificate names ${fqdn}`, more)
  } else if (leaf.checkHost(fqdn, { subject: 'always' }) !== undefined) {
    findings.warning('certificate.name', `only the common name is ${fqdn}; subject alternative name: ${names}`, {
      ...more,
      advice: 'Microsoft asks for a subject alternative name: have the certificate issued anew with one',
    })
  } else {
    findings.problem('certificate.name', `the certificate does not name ${fqdn}, but ${names}`, {
      ...more,
      advice: 'have it issued anew for that name, or tell Azure the name that it has (a new connection)',
      command: `az keyvault ekm-connection show --hsm-name HSM --query host`,
    })
  }
}

function checkStrength(path: Chain, findings: Findings): void {
  for (const certificate of path) {
    const { inWords, grade } = strengthOf(certificate)
    const more = { subject: nameOf(certificate), fields: { key: inWords } }
    if (grade === 'good') findings.ok('certificate.public-key', inWords, more)
    else if (grade === 'weak') {
      const advice = 'make a key of RSA 2048 bits or more, or EC P-256, and have a certificate issued for it'
      findings.problem('certificate.public-key', `${inWords} is too weak`, { ...more, advice })
    } else {
      const advice = 'RSA of 2048 bits or more, P-256 and P-384 are understood everywhere'
      findings.warning('certificate.public-key', `${inWords}: nobody says whether Azure takes it`, { ...more, advice })
    }
    // A root is trusted as it is; its own signature proves nothing.
    if (isSelfIssued(certificate) && certificate !== path[0]) continue
    const signature = signatureOf(certificate)
    if (signature.weak) {
      const advice = 'have it issued anew with SHA-256 or better'
      const found = `signed with ${signature.inWords}, which can be forged`
      findings.problem('certificate.signature', found, { subject: nameOf(certificate), advice })
    } else findings.ok('certificate.signature', `signed with ${signature.inWords}`, { subject: nameOf(certificate) })
  }
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const ANY_USAGE = '2.5.29.37.0'

function checkUsage(path: Chain, findings: Findings): void {
  const [leaf, ...issuers] = path
  // Node.js calls the extended key usage so.
  const purposes = leaf.keyUsage as readonly string[] | undefined
  const more = { subject: nameOf(leaf) }
  if (purposes !== undefined && !purposes.includes(SERVER_AUTH) && !purposes.includes(ANY_USAGE)) {
    findings.problem('certificate.usage', 'its extended key usage is not that of a TLS server (serverAuth)', {
      ...more,
      advice: 'have a server certificate issued: this one is for something else',
    })
  } else if (issuers.some(({ ca }) => !ca)) {
    findings.problem('certificate.usage', 'a certificate in the chain issued another without being a CA', {
      subject: nameOf(issuers.find(({ ca }) => !ca) ?? leaf),
      advice: "use the CA's certificate in its place",
    })
  } else if (leaf.ca) {
    const found = isSelfIssued(leaf) ? 'it signed itself, and is its own CA' : 'it is the certificate of a CA'
    findings.warning('certificate.usage', found, {
      ...more,
      advice: 'let a root issue it: else Azure must be told of every renewal',
    })
  } else findings.ok('certificate.usage', 'a server certificate', more)
}

/** What Microsoft's networking page says that Managed HSM validates: the chain, the validity, the name. */
const asked: readonly CheckId[] = ['certificate.chain-complete', 'certificate.expiry', 'certificate.name']

function checkForAzure(question: CertificateQuestion, findings: Findings): void {
  const problems = ids(findings, 'problem', 'certificate.')
  const open = ids(findings, 'not checked', 'certificate.').filter((id) => asked.includes(id))
  if (problems.length > 0) {
    findings.problem('certificate.azure', `Managed HSM would not take it: ${problems.join(', ')}`, {
      advice: 'see those lines',
    })
  } else if (open.length > 0) {
    findings.notChecked('certificate.azure', `nothing speaks against it, but this is not known: ${open.join(', ')}`, {
      advice: [
        ...(question.fqdn === undefined ? ['--fqdn HOST'] : []),
        ...(question.serverCa === undefined ? ['--server-ca ROOT.pem'] : []),
      ].join(' and '),
    })
  } else findings.ok('certificate.azure', 'chain, validity and name are as Managed HSM asks')
}

const ids = ({ all }: Findings, wanted: string, prefix: string): CheckId[] => [
  ...new Set(all.filter(({ id, status }) => status === wanted && id.startsWith(prefix)).map(({ id }) => id)),
]
