import { accessSync, constants, statSync } from 'node:fs'
import * as v from 'valibot'
import { OperatorError, systemCode, type Secret } from '../../adapters/contract/index.ts'
import { Credentials } from '../settings/credentials.ts'
import { secret, type References } from '../settings/fields.ts'
import { FileUntrusted, type Holds } from '../settings/file-modes.ts'
import { readTrusted, type ReadFile } from '../settings/files.ts'
import type { Interview, Question, SecretPlace, SecretQuestion } from './interview.ts'

export { makeDirectory } from '../../adapters/software/make-directory.ts'

/**
 * Reads a file as the gateway does. `init` does not wait for what is written into a pipe: at a terminal, no key would end
 * that, and a gateway could not read it again.
 */
export const readAnswered: ReadFile = (path, holds) => {
  if (statSync(path).isFIFO()) throw Object.assign(new Error(`${path} is a pipe`), { code: 'ESPIPE' })
  return readTrusted(path, holds)
}

const LET_READ = "let the gateway's user own it, and enter its directory (chown, chmod)"

const remedyFor = (error: unknown): string => (systemCode(error) === 'EACCES' ? `: ${LET_READ}` : '')

/** What is wrong with a file that can be read, the problem itself says. */
function remedyAt(path: string): string {
  try {
    accessSync(path, constants.R_OK)
    return ''
  } catch (error) {
    return systemCode(error) === 'EACCES' ? `; ${LET_READ}` : `; make it: ${putInto('FILE')}`
  }
}

/** Throws an OperatorError for a file that cannot be read, or that every user can change. */
export function readFileOf(path: string, holds?: Holds): Buffer {
  try {
    return readAnswered(path, holds)
  } catch (error) {
    if (error instanceof FileUntrusted)
      throw new OperatorError('FILE_UNTRUSTED', `${path} is a file that ${error.message}`)
    throw new OperatorError('FILE_UNREADABLE', `${path} cannot be read (${systemCode(error)})${remedyFor(error)}`)
  }
}

/**
 * The secret at a place. Throws an OperatorError where there is none, before a login is spent on it. It does not repeat
 * the answer, because the secret itself may have been typed by mistake.
 */
export function secretAt(place: SecretPlace, references: References): Secret {
  if ('env' in place) references.variables.hide([place.env])
  const { output, issues } = v.safeParse(secret(references), place)
  if (issues === undefined) return output
  const remedy =
    'env' in place ? '; set it before init is started: IFS= read -rs NAME; export NAME' : remedyAt(place.file)
  throw new OperatorError('FILE_UNREADABLE', `the answer ${issues[0].message}${remedy}`)
}

/** What puts a secret into a file, unseen. */
export const putInto = (file: string): string => `(umask 077; IFS= read -rs SECRET; printf %s "$SECRET" > ${file})`

interface KeyQuestions {
  readonly key: Question
  readonly passphrase: SecretQuestion
}

/** Where the key of a certificate is, and the passphrase of a key that needs one. */
export interface PrivateKey {
  readonly key: string
  readonly passphrase?: SecretPlace
}

/**
 * Asks for the private key of `cert`, and for a passphrase only if the key is encrypted.
 *
 * @param problemOf says why the two cannot be used
 */
export async function askPrivateKey(
  interview: Interview,
  cert: Buffer,
  questions: KeyQuestions,
  problemOf: (credentials: Credentials) => string | undefined,
): Promise<PrivateKey> {
  const { path, found } = await interview.openPath(questions.key, async (file) => {
    const { credentials, ...more } = await askPassphrase(
      interview,
      { cert, key: readFileOf(file, 'secret') },
      questions.passphrase,
    )
    const problem = problemOf(credentials)
    if (problem !== undefined) throw new OperatorError('ANSWER_REFUSED', problem)
    return more
  })
  return { key: path, ...found }
}

interface Opened {
  readonly credentials: Credentials
  readonly passphrase?: SecretPlace
}

/** Asks for the passphrase of a key or a PKCS#12 file, if it needs one. */
export async function askPassphrase(
  interview: Interview,
  pair: { readonly cert: Buffer; readonly key: Buffer } | { readonly pfx: Buffer },
  question: SecretQuestion,
): Promise<Opened> {
  const credentials = new Credentials(pair)
  if (!credentials.needPassphrase) return { credentials }
  const passphrase = await interview.askSecret(question)
  return {
    credentials: new Credentials({ ...pair, passphrase: secretAt(passphrase, interview.references) }),
    passphrase,
  }
}
