import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { askPassphrase, askPrivateKey, readFileOf } from '../../backends/init-files.ts'
import { quoted } from '../../base/shell.ts'
import type { SecretPlace } from '../../backends/interview.ts'
import { Credentials } from '../../settings/credentials.ts'
import { isPkcs12, parseCertificates, toPem } from '../../settings/certificate-file.ts'
import { checkCertificate } from '../check/certificate.ts'
import { Findings } from '../check/findings.ts'
import { chainSent } from '../check/handshake.ts'
import type { Chain } from '../check/server-chain.ts'
import { nameOf } from '../check/x509.ts'
import type { Answers } from './answers.ts'
import { questions } from './questions.ts'
import { notesOf, problemsOf } from './trying.ts'

/** Who the gateway is. */
export interface ServerIdentity {
  /** As it stands in the configuration. */
  readonly tls:
    | { readonly certificate: string; readonly key: string; readonly passphrase?: SecretPlace }
    | { readonly pkcs12: string; readonly passphrase?: SecretPlace }
  /** Absolute path of the root that Azure is told; `undefined` while it is not known. */
  readonly serverCa: string | undefined
  /** A CA is to answer it first. */
  readonly request?: CertificateRequest
}

/** By absolute paths. */
export interface CertificateRequest {
  readonly file: string
  /** Where what the CA issues is to be put. */
  readonly certificate: string
}

const PUBLIC = 0o644
const PRIVATE = 0o600
const TRIAL_DAYS = 90
const DAY_MS = 86_400_000

const choices = [
  { value: 'own', label: 'you have a certificate and its key' },
  { value: 'request', label: 'make a key, and a request for a certificate that you send to a CA' },
  { value: 'trial', label: 'make a private CA and a certificate of it: for trials' },
] as const

export async function askServer(answers: Answers, host: string, hasEarlier: boolean): Promise<ServerIdentity> {
  const named = answers.has('certificate') || hasEarlier
  const earlier = named && !answers.has('server-certificate') ? 'own' : undefined
  const asked = { ...questions.identity, ...(earlier !== undefined && { fallback: earlier }) }
  switch (await answers.choose(asked, choices)) {
    case 'trial':
      return makeTrial(answers, host)
    case 'request':
      return makeRequest(answers, host)
    default:
      return askOwn(answers, host)
  }
}

async function askOwn(answers: Answers, host: string): Promise<ServerIdentity> {
  const { path, found: own } = await answers.openPath(questions.certificate, async (file) => {
    const opened = isPkcs12(readFileOf(file))
      ? await openPkcs12(answers, file)
      : { file, chain: certificatesOf(file), ordered: true }
    judge(answers, { ...opened, host })
    return opened
  })
  const { file, chain, ordered } = own
  const tls =
    'passphrase' in own
      ? { pkcs12: path, ...(own.passphrase && { passphrase: own.passphrase }) }
      : { certificate: path, ...(await askPrivateKey(answers, toPem(readFileOf(file)), questions, serverProblem)) }
  const { found: serverCa } = await answers.openPath(questions.serverCa, (root) => {
    judge(answers, { file, chain, ordered, host, serverCa: root })
    return root
  })
  return { tls, serverCa }
}

const serverProblem = (credentials: Credentials): string | undefined => credentials.serverProblem()

/** Only OpenSSL opens it, so its chain is what a server with it sends. */
async function openPkcs12(answers: Answers, file: string) {
  const pfx = readFileOf(file, 'secret')
  const { credentials, passphrase } = await askPassphrase(answers, { pfx }, questions.passphrase)
  const problem = credentials.serverProblem()
  if (problem !== undefined) throw new OperatorError('ANSWER_REFUSED', problem)
  const sent = await chainSent(credentials)
  if ('refused' in sent) throw new OperatorError('ANSWER_REFUSED', `TLS does not begin with it (${sent.refused})`)
  return { file, chain: sent.chain, ordered: false, passphrase }
}

async function makeTrial(answers: Answers, host: string): Promise<ServerIdentity> {
  const at = (name: string) => join(answers.references.directory, name)
  const [ca, certificate, key] = [at('server-ca.pem'), at('server.pem'), at('server.key')]
  if ([ca, certificate, key].every((path) => existsSync(path))) {
    answers.tell(`${certificate} is there already, and is kept`)
  } else {
    const notAfter = new Date(Date.now() + TRIAL_DAYS * DAY_MS)
    const { issue } = await import('../quickstart/certificates.ts')
    const authority = await issue({ commonName: `${host} trial CA`, usage: 'authority', notAfter })
    const server = await issue({ commonName: host, usage: 'server', hosts: [host], notAfter }, authority)
    // The CA's own key is nowhere: nothing else can be issued in its name.
    await answers.make(ca, authority.certificate, PUBLIC)
    await answers.make(certificate, server.certificate, PUBLIC)
    await answers.make(key, server.key, PRIVATE)
    answers.tell(`made ${certificate} and its key, valid for ${TRIAL_DAYS} days, and their CA ${ca}`)
  }
  answers.noteRootOnly(key)
  try {
    assertPair(certificate, key)
    judge(answers, { file: certificate, chain: certificatesOf(certificate), ordered: true, host, serverCa: ca })
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error
    const files = [certificate, key, ca].map(quoted).join(' ')
    throw new OperatorError(error.code, `${error.message}; to have others made, move these away: ${files}`)
  }
  return { tls: { certificate: answers.written(certificate), key: answers.written(key) }, serverCa: ca }
}

async function makeRequest(answers: Answers, host: string): Promise<ServerIdentity> {
  const at = (name: string) => join(answers.references.directory, name)
  const [certificate, key, request] = [at('server.pem'), at('server.key'), at('server.csr')]
  if (existsSync(certificate)) {
    answers.tell(`${certificate} is there: it is taken for the answer to the request`)
    return askOwn(answers, host)
  }
  if (existsSync(key) && existsSync(request)) {
    answers.tell(`${request} is there already, and is kept`)
    answers.noteRootOnly(key)
  } else {
    const { requestCertificate } = await import('../quickstart/certificates.ts')
    const made = await requestCertificate(host)
    await answers.make(key, made.key, PRIVATE)
    await answers.make(request, made.request, PUBLIC)
    answers.tell(`made ${key}, and ${request} for your CA`)
  }
  return {
    tls: { certificate: answers.written(certificate), key: answers.written(key) },
    serverCa: undefined,
    request: { file: request, certificate },
  }
}

interface Judged {
  readonly file: string
  readonly chain: Chain
  /** False if OpenSSL chose the order. */
  readonly ordered: boolean
  readonly host: string
  readonly serverCa?: string
}

/** Throws an OperatorError with every reason for which Managed HSM would not take the certificate. */
function judge(answers: Answers, { file, chain, ordered, host, serverCa }: Judged): void {
  const roots = serverCa === undefined ? undefined : certificatesOf(serverCa)
  const findings = new Findings()
  checkCertificate(
    {
      file,
      keyFile: undefined,
      chain,
      own: 0,
      ordered,
      keyBelongs: true,
      fqdn: host,
      serverCn: undefined,
      serverCa: roots,
    },
    findings,
  )
  // The summary says no more than the lines that it sums up.
  const all = findings.all.filter(({ id }) => id !== 'certificate.azure')
  const problems = problemsOf(all)
  if (problems !== undefined) throw new OperatorError('ANSWER_REFUSED', problems)
  if (roots === undefined) return
  for (const note of notesOf(all)) answers.tell(`note: ${note}`)
  answers.tell(`the certificate names ${host}, is valid, and leads to ${nameOf(roots[0])}`)
}

function certificatesOf(file: string): Chain {
  const [first, ...others] = parseCertificates(readFileOf(file)) ?? []
  if (first !== undefined) return [first, ...others]
  throw new OperatorError('ANSWER_REFUSED', `${file} holds no certificates`)
}

function assertPair(certificate: string, key: string): void {
  const credentials = new Credentials({ cert: toPem(readFileOf(certificate)), key: readFileOf(key, 'secret') })
  const problem = credentials.serverProblem()
  if (problem === undefined) return
  throw new OperatorError('ANSWER_REFUSED', `${certificate} and ${key}: ${problem}`)
}
