import type { X509Certificate } from 'node:crypto'
import { access, constants, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { systemCode } from '../../../adapters/contract/index.ts'
import { didYouMean } from '../../base/nearest.ts'
import { parseCertificates } from '../../settings/certificate-file.ts'
import { Variables } from '../../settings/variables.ts'
import { styleFor } from '../../conformance/src/style.ts'
import { becomeUser } from './as-user.ts'
import { checkIds, groupOf, isWanted } from './catalogue.ts'
import { CouldNotRun, readGiven } from './could-not-run.ts'
import { jsonReport } from './reporters/json.ts'
import { TextReporter } from './reporters/text.ts'
import { runCheck, type Question } from './run.ts'

export interface CheckOptions {
  readonly config: string
  readonly as?: string
  readonly fqdn?: string
  readonly serverCn?: string
  readonly serverCa?: string
  readonly azureCertificate: readonly string[]
  readonly only: readonly string[]
  readonly format: 'text' | 'json'
}

/** Exit statuses of the command. */
const NO_PROBLEM = 0
const PROBLEMS = 1
const COULD_NOT_RUN = 2

/**
 * Runs the command.
 * @returns the exit status, once everything is written
 */
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

async function readOptions(options: CheckOptions): Promise<Question> {
  const { config, as, fqdn, serverCn, serverCa, azureCertificate, only } = options
  if (as !== undefined) becomeUser(as)
  await assertReadable(config)
  for (const name of only) {
    if (checkIds.some((id) => isWanted(id, [name]))) continue
    const meant = didYouMean(name, [...new Set(checkIds.map(groupOf)), ...checkIds])
    throw new CouldNotRun(`--only ${name}: no check has this id; the ids are ${checkIds.join(', ')}${meant}`)
  }
  if (fqdn !== undefined && !isHostName(fqdn) && isIP(fqdn) === 0) {
    throw new CouldNotRun('--fqdn must be a host such as ekm.example.com or 192.0.2.7, without a port or a path')
  }
  return {
    config,
    azureCertificates: azureCertificate,
    only,
    ...(as !== undefined && { as }),
    ...(fqdn !== undefined && { fqdn }),
    ...(serverCn !== undefined && { serverCn }),
    ...(serverCa !== undefined && { serverCa: readRoots(serverCa) }),
  }
}

async function assertReadable(file: string): Promise<void> {
  const code = await access(file, constants.R_OK).then(() => undefined, systemCode)
  if (code !== undefined) throw new CouldNotRun(`${file} cannot be read (${code})`)
  if ((await stat(file)).isDirectory()) throw new CouldNotRun(`${file} is a directory`)
  readGiven(file, file)
}

export const isHostName = (text: string): boolean =>
  text.length <= 253 && /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]{0,62}$/.test(text)

function readRoots(file: string): readonly X509Certificate[] {
  const found = parseCertificates(readGiven(file, `--server-ca ${file}`))
  if (found === undefined) throw new CouldNotRun(`--server-ca ${file} does not hold certificates in PEM or DER`)
  return found
}

/** A pipe accepts a long text in parts. The promise resolves when all are written. */
const write = (text: string): Promise<void> => new Promise((resolve) => process.stdout.write(text, () => resolve()))
