import { join } from 'node:path'
import type { X509Certificate } from 'node:crypto'
import { clientEntry, type AllowedClients } from '../../config/clients.ts'
import { nameOf } from '../check/x509.ts'
import { quoted } from '../../base/shell.ts'
import { print } from '../terminal.ts'
import type { Answers } from './answers.ts'
import { questions } from './questions.ts'
import { parsed } from './trying.ts'

/** One entry of a pool's clients, as it stands in the configuration. */
export type ClientEntry = Readonly<Record<string, unknown>>

const BY_HAND = '-'

export const showCertificate = (hsm: string, file: string): string =>
  `az keyvault ekm-connection certificate show --hsm-name ${quoted(hsm)} > ${quoted(file)}`

export async function askClients(answers: Answers, hsm: string, earlierFile: string | undefined): Promise<ClientEntry> {
  const names = answers.has('client-name') || answers.has('client-ca')
  if (names && !answers.has('az-file')) return askNames(answers)
  if (!answers.has('az-file') && answers.isAsking) {
    print(`Azure says who will call. In another terminal: ${showCertificate(hsm, fileOf(answers))}`)
  }
  const asked = { ...questions.azFile, fallback: earlierFile ?? questions.azFile.fallback }
  let entry: ClientEntry | undefined
  const file = await answers.askPath(asked, (path) => {
    entry = path.endsWith(`/${BY_HAND}`) ? undefined : { azureCertificate: path }
    if (entry !== undefined) tell(answers, tried(answers, entry))
  })
  return entry === undefined ? askNames(answers) : { azureCertificate: file }
}

const fileOf = ({ references }: Answers) => join(references.directory, questions.azFile.fallback)

async function askNames(answers: Answers): Promise<ClientEntry> {
  const name = await answers.ask(questions.clientName)
  const ca = await answers.askPath(questions.clientCa, (path) => {
    tell(answers, tried(answers, { subjectCommonNames: [name], caCertificates: [path] }))
  })
  return { subjectCommonNames: [name], caCertificates: [ca] }
}

const tried = ({ references }: Answers, entry: ClientEntry): AllowedClients => parsed(clientEntry(references), entry)

function tell(answers: Answers, { commonNames, roots }: AllowedClients): void {
  const issuers = roots.map((root: X509Certificate) => nameOf(root)).join(', ')
  answers.tell(`clients: ${commonNames.join(', ')}, issued by ${issuers}`)
}
