import { dirname, resolve } from 'node:path'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { readAnswered } from '../../backends/init-files.ts'
import { quoted } from '../../base/shell.ts'
import { trimSlashes } from '../../config/cross-check.ts'
import { pathPrefix } from '../../config/pool.ts'
import { at } from '../../config/problem.ts'
import { secretVariables, Variables } from '../../settings/variables.ts'
import { becomeUser } from '../check/as-user.ts'
import { CouldNotRun } from '../check/could-not-run.ts'
import { tryPort } from '../check/listener.ts'
import { isHostName } from '../check/command.ts'
import { print } from '../terminal.ts'
import { Answers, isRoot, type Given } from './answers.ts'
import { nextSteps } from './azure.ts'
import { askBackend, type AskedBackend } from './backend.ts'
import { askClients, type ClientEntry } from './clients.ts'
import { certificateIn, earlierAnswers, poolIndex, readEarlier, textAt, type EarlierFile } from './earlier.ts'
import { askKeys, type PoolKeys } from './keys.ts'
import { assertFile, assertWritable } from './place.ts'
import { changedText, changesTo, freshText, inWords, type Wanted } from './proposal.ts'
import { questions } from './questions.ts'
import { askServer, type ServerIdentity } from './server.ts'
import { Terminal } from './terminal.ts'
import { parsed } from './trying.ts'
import { writeConfig } from './write.ts'

/** Exit statuses of the command, beside those of every command. */
const DONE = 0
const PROPOSED = 3

export interface InitOptions {
  readonly config: string
  /** Everything is looked at and written as this user. */
  readonly as?: string
  readonly yes: boolean
  readonly apply: boolean
  readonly given: Given
}

/** Asks, tries, and writes the configuration. Resolves with the exit status; rejects with an OperatorError. */
export async function init({ config, as, yes, apply, given }: InitOptions): Promise<number> {
  const user = as === undefined ? undefined : actAs(as)
  const file = resolve(config)
  assertFile(config, file)
  // What a backend's library starts inherits no secret.
  const references = { directory: dirname(file), variables: new Variables(process.env), read: readAnswered }
  const earlier = readEarlier(file, references)
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && !yes
  const onlyProposes = earlier !== undefined && !isTerminal && !apply
  if (!onlyProposes) await assertWritable(file)
  const terminal = isTerminal ? new Terminal() : undefined
  try {
    const answers = new Answers(given, terminal, references)
    print(`ekm-gateway init: ${earlier === undefined ? 'makes' : 'looks at'} ${file}`)
    if (user !== undefined) print(`Everything is looked at and written as ${user}.`)
    else if (isRoot()) print("Root may read every file: if the gateway's user is another, give that with --as USER.")
    if (isTerminal) print('Enter takes the answer in brackets; Ctrl-C ends it. Secrets stay in their own files.')
    const facts = await askAll(answers, file, earlier)
    const status = await propose(answers, file, earlier, facts, apply)
    if (status === DONE) {
      const { server, ...others } = facts
      print(nextSteps({ ...others, ...server, config: file, user, variables: variablesIn(facts) }))
    }
    return status
  } finally {
    terminal?.close()
  }
}

function actAs(user: string): string {
  try {
    return becomeUser(user)
  } catch (error) {
    if (error instanceof CouldNotRun) throw refused(error.message)
    throw error
  }
}

interface Facts {
  readonly hsm: string
  readonly host: string
  readonly address: string
  readonly port: number
  readonly adminPort: number | undefined
  readonly prefix: string
  readonly server: ServerIdentity
  readonly clients: ClientEntry
  readonly backend: AskedBackend
  readonly keys: PoolKeys
}

async function askAll(answers: Answers, file: string, earlier: EarlierFile | undefined): Promise<Facts> {
  const data = earlier?.data
  answers.earlier = earlierAnswers(data, answers.references)
  // What nobody is asked comes first: if it is refused, the session ends.
  const adminText = await answers.ask(questions.adminPort, (text) => assertAdminPort(answers, text, data))
  const address = await answers.ask(questions.address, assertAddress)
  const hsm = await answers.ask(questions.hsm, assertHsmName)
  const host = await answers.ask(questions.host, assertHostName)
  const port = Number(await answers.ask(questions.port, (text) => assertPort(answers, address, text, data, adminText)))
  const server = await askServer(answers, host, certificateIn(data) !== undefined)
  const index = poolIndex(data, hsm)
  const pool = at(data, ['pools', index])
  const prefix = await answers.ask(
    { ...questions.prefix, fallback: textAt(pool, ['pathPrefix']) ?? `azureekm/${hsm}` },
    (text) => void parsed(pathPrefix(), text),
  )
  const clients = await askClients(answers, hsm, textAt(pool, ['clients', 0, 'azureCertificate']))
  const backend = await askBackend(answers, data, textAt(pool, ['backend']))
  const before = at(pool, ['keys'])
  const keysBefore = typeof before === 'object' && before !== null ? (before as PoolKeys) : undefined
  const keys = await askKeys(answers, backend, file, keysBefore)
  const adminPort = adminText === 'none' ? undefined : Number(adminText)
  return { hsm, host, address, port, adminPort, prefix: trimSlashes(prefix), server, clients, backend, keys }
}

async function propose(
  answers: Answers,
  file: string,
  earlier: EarlierFile | undefined,
  facts: Facts,
  apply: boolean,
): Promise<number> {
  const wanted = wantedOf(facts)
  const awaitsCertificate = facts.server.request !== undefined
  const { directory, variables } = answers.references
  if (earlier === undefined) {
    await writeConfig(file, freshText(wanted), variables, awaitsCertificate)
    print(`Wrote ${file}`)
    answers.noteRootOnly(file)
    return DONE
  }
  const changes = changesTo(earlier, wanted, directory)
  if (changes.length === 0) {
    print(`${file} says all of this already: nothing is changed`)
    return DONE
  }
  print(`In ${file} this would become:`)
  for (const change of changes) answers.tell(inWords(change))
  if (!apply && !(await answers.confirm('Change it? What it says now is kept beside it'))) {
    print(`Nothing is changed. With --apply it would be.`)
    return PROPOSED
  }
  await writeConfig(file, changedText(earlier, changes), variables, awaitsCertificate)
  print(`Changed ${file}; what it said before is in ${file}.previous`)
  return DONE
}

function wantedOf({ address, port, adminPort, prefix, server, clients, backend, keys, hsm, host }: Facts): Wanted {
  const { name, section, comments } = backend
  const ofBackend = Object.entries(comments).map(([setting, comment]) => [`backends.${name}.${setting}`, comment])
  return {
    listen: { host: address, port, tls: server.tls, clientAuth: 'required' },
    admin: adminPort === undefined ? undefined : { host: ADMIN_HOST, port: adminPort },
    backend: { name, section },
    pool: { name: hsm, pathPrefix: prefix, clients: [clients], backend: name, keys },
    comments: {
      'listen.port': 'Azure calls 443',
      [`listen.tls.${'pkcs12' in server.tls ? 'pkcs12' : 'certificate'}`]: `names ${host}, the host that Azure is told`,
      'listen.tls.passphrase': 'where the passphrase is: never the passphrase',
      'listen.clientAuth': 'only the clients below, proven by their certificate',
      'admin.host': 'health and metrics, neither encrypted nor protected: docs/operations.md',
      ...(Object.fromEntries(ofBackend) as Record<string, string>),
      pools: 'one for each Managed HSM',
      'pools.0.pathPrefix': 'the --path-prefix that Azure is told, without its first slash',
      'pools.0.clients': `who may call; renew it with: ${renewal(hsm)}`,
      'pools.0.keys': 'by external key id: only these can be used through this pool',
    },
  }
}

/** The environment variables that a gateway with these facts needs. */
const variablesIn = ({ server, backend }: Facts): string[] => [...secretVariables([server.tls, backend.section])]

const renewal = (hsm: string) => `az keyvault ekm-connection certificate show --hsm-name ${quoted(hsm)}`

const refused = (message: string) => new OperatorError('ANSWER_REFUSED', message)

function assertHsmName(text: string): void {
  if (/^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$/.test(text)) return
  throw refused('the name of a Managed HSM has 3 to 24 letters, digits and hyphens, and begins with a letter')
}

function assertHostName(text: string): void {
  if (isHostName(text)) return
  throw refused(`${text} is no host name such as ekm.example.com: Azure calls a name, without port and path`)
}

/** With port 0 the system chooses another one at each start, of which Azure would not know. */
function portOf(text: string, otherwise = ''): number {
  if (/^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535) return Number(text)
  throw refused(`${text} is no port: write a number from 1 to 65535${otherwise}`)
}

const ADMIN_HOST = '127.0.0.1'

async function assertAdminPort(answers: Answers, text: string, data: unknown): Promise<void> {
  if (text === 'none') return
  const port = portOf(text, ', or none')
  const code = await tryPort({ host: ADMIN_HOST, port })
  if (code === undefined || isInUse(code, data, 'admin', text)) return
  if (code === 'EACCES') return answers.tell(mayNot(port))
  throw cannotListen(ADMIN_HOST, port, code)
}

/** At any port: a wrong address would be taken for a port that is not free. */
async function assertAddress(host: string): Promise<void> {
  const code = await tryPort({ host, port: 0 })
  if (code !== undefined) throw refused(`cannot listen on ${host} (${code}): ${portAdvice[code] ?? 'choose another'}`)
}

/** The port is free, or it is the one that a gateway with the earlier file has. */
async function assertPort(answers: Answers, host: string, text: string, data: unknown, admin: string): Promise<void> {
  const port = portOf(text)
  if (text === admin) throw refused(`${text} is the admin port too: choose another, or give --admin-port`)
  const code = await tryPort({ host, port })
  if (code === undefined) return
  if (isInUse(code, data, 'listen', text)) {
    return answers.tell(`port ${port} is in use: by the gateway that runs with this file, as check can tell`)
  }
  if (code === 'EACCES') return answers.tell(mayNot(port))
  throw cannotListen(host, port, code)
}

/** The earlier file has this port, so it is its gateway that uses it. */
const isInUse = (code: string, data: unknown, section: string, port: string): boolean =>
  code === 'EADDRINUSE' && textAt(data, [section, 'port']) === port

const mayNot = (port: number) =>
  `this user may not listen on port ${port}: the service must be allowed to (CAP_NET_BIND_SERVICE)`

const cannotListen = (host: string, port: number, code: string) =>
  refused(`cannot listen on ${host} port ${port} (${code}): ${portAdvice[code] ?? 'choose another'}`)

const portAdvice: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it (ss -ltnp shows which): end that, or choose another',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'the address is a name that does not resolve',
}
