import type { X509Certificate } from 'node:crypto'
import { access, constants, readFile, stat } from 'node:fs/promises'
import { systemCode } from '../../../adapters/contract/index.ts'
import { parsePemCertificates } from '../../settings/fields.ts'
import { Variables } from '../../settings/variables.ts'
import { styleFor } from '../../conformance/src/index.ts'
import { checkIds, isWanted } from './catalogue.ts'
import { CouldNotRun } from './could-not-run.ts'
import { jsonReport } from './reporters/json.ts'
import { TextReporter } from './reporters/text.ts'
import { runCheck, type Question } from './run.ts'

export interface CheckOptions {
  readonly config: string
  readonly fqdn?: string
  readonly serverCa?: string
  readonly azureCertificate: readonly string[]
  readonly only: readonly string[]
  readonly format: 'text' | 'json'
}

/** Exit statuses of the command. */
const NO_PROBLEM = 0
const PROBLEMS = 1
const COULD_NOT_RUN = 2

/** Runs the command; resolves with its exit status, once everything is written. */
export async function check(options: CheckOptions): Promise<number> {
  try {
    const question = await readOptions(options)
    const text = new TextReporter(styleFor(process.stdout, process.env))
    const inText = options.format === 'text'
    const report = await runCheck(question, new Variables(process.env), (finding) => {
      if (inText) process.stdout.write(text.lines(finding))
    })
    await write(inText ? text.summary(report) : jsonReport(report))
    return report.counts.problem === 0 ? NO_PROBLEM : PROBLEMS
  } catch (error) {
    if (!(error instanceof CouldNotRun)) throw error
    process.stderr.write(`ekm-gateway check: ${error.message}\n`)
    return COULD_NOT_RUN
  }
}

async function readOptions({ config, fqdn, serverCa, azureCertificate, only }: CheckOptions): Promise<Question> {
  await assertReadable(config)
  for (const name of only) {
    if (checkIds.some((id) => isWanted(id, [name]))) continue
    throw new CouldNotRun(`--only ${name}: there is no such check; there are ${checkIds.join(', ')}`)
  }
  if (fqdn !== undefined && !isHostName(fqdn)) {
    throw new CouldNotRun('--fqdn must be a host name such as ekm.example.com, without port and path')
  }
  return {
    config,
    azureCertificates: azureCertificate,
    only,
    ...(fqdn !== undefined && { fqdn }),
    ...(serverCa !== undefined && { serverCa: await readRoots(serverCa) }),
  }
}

async function assertReadable(file: string): Promise<void> {
  const code = await access(file, constants.R_OK).then(() => undefined, systemCode)
  if (code !== undefined) throw new CouldNotRun(`${file} cannot be read (${code})`)
  if ((await stat(file)).isDirectory()) throw new CouldNotRun(`${file} is a directory`)
}

const isHostName = (text: string): boolean =>
  text.length <= 253 && /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]{0,62}$/.test(text)

async function readRoots(file: string): Promise<readonly X509Certificate[]> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new CouldNotRun(`--server-ca ${file} cannot be read (${systemCode(error)})`)
  })
  const found = parsePemCertificates(bytes.toString('latin1'))
  if (found === undefined) throw new CouldNotRun(`--server-ca ${file} is not a list of PEM certificates`)
  return found
}

/** A pipe takes a long text in pieces: it is out when this resolves. */
const write = (text: string): Promise<void> => new Promise((resolve) => process.stdout.write(text, () => resolve()))
