import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import * as v from 'valibot'
import { Secret, secretFlaw, secretLength, systemCode, WRITE_SECRET } from '../../adapters/contract/index.ts'
import { parseCertificates, toPem } from './certificate-file.ts'
import { didYouMean } from '../base/nearest.ts'
import { FileUntrusted, type Holds } from './file-modes.ts'
import { readTrusted, type ReadFile } from './files.ts'
import type { Variables } from './variables.ts'

/** How the references in a configuration are resolved. */
export interface References {
  /** Relative paths in the file start from this directory. */
  readonly directory: string
  readonly variables: Variables
  /** By default, files are read from the disk. */
  readonly read?: ReadFile
}

/** A mapping with exactly these keys. */
export function mapping<const Entries extends v.ObjectEntries>(entries: Entries) {
  const names = Object.keys(entries)
  const allowed = names.join(', ')
  const schema = v.strictObject(entries, ({ expected, input }) => {
    if (expected === 'never')
      return `is not a known setting; allowed here: ${allowed}${didYouMean(String(input), names)}`
    if (expected?.startsWith('"')) return 'is required'
    return `must be a mapping; allowed here: ${allowed}`
  })
  return thorough(schema)
}

/** A mapping from names to values of one kind. */
export const table = <const Value extends v.GenericSchema>(
  name: v.GenericSchema<string, string>,
  value: Value,
  message: string,
) => thorough(v.record(name, value, message))

/**
 * valibot accepts a list as an object, and reports only the first of several unknown members. An operator gets all of
 * them.
 */
function thorough<Schema extends v.GenericSchema>(schema: Schema): Schema {
  const run: v.GenericSchema['~run'] = (dataset, config) => {
    const given = dataset.value
    if (Array.isArray(given)) return schema['~run']({ value: undefined }, config)
    const result = schema['~run'](dataset, config)
    const unknown = result.issues?.find(isUnknownMember)
    const [first] = unknown?.path ?? []
    if (unknown === undefined || first === undefined || !('entries' in schema)) return result
    const known = Object.keys(schema.entries as object)
    for (const key of Object.keys(given as object)) {
      if (key === first.key || known.includes(key)) continue
      // Run on this member alone, the schema says of it what it said of the first.
      const alone = schema['~run']({ value: { [key]: undefined } }, config).issues?.find(isUnknownMember)
      result.issues?.push({ ...(alone ?? unknown), path: [{ ...first, key } as typeof first] })
    }
    return result
  }
  return { ...schema, '~run': run }
}

/** Reports an unknown member as an error of the whole mapping, without its name. */
function discreet<Schema extends v.GenericSchema>(schema: Schema): Schema {
  const run: v.GenericSchema['~run'] = (dataset, config) => {
    const result = schema['~run'](dataset, config)
    for (const issue of result.issues ?? []) if (isUnknownMember(issue)) Object.assign(issue, { path: undefined })
    return result
  }
  return { ...schema, '~run': run }
}

const isUnknownMember = ({ expected, path }: v.BaseIssue<unknown>) =>
  expected === 'never' && path?.length === 1 && path[0].origin === 'key'

/**
 * `schema` with the description and the example that editors and `config explain` show. The example is as the setting
 * is written; a setting with a default, or with a choice of words, needs none.
 */
export const about = <const Schema extends v.GenericSchema>(description: string, schema: Schema, example?: unknown) =>
  v.pipe(schema, v.description(description), v.examples(example === undefined ? [] : [example]))

export const text = () => v.pipe(v.string('must be text'), v.nonEmpty('must not be empty'))

export const integer = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message))
}

export const flag = () => v.boolean('must be true or false')

export const oneOf = <const Options extends readonly string[]>(options: Options) =>
  v.picklist(options, `must be one of: ${options.join(', ')}`)

export const listOf = <const Item extends v.GenericSchema>(item: Item) => v.array(item, 'must be a list')

export const nonEmptyListOf = <const Item extends v.GenericSchema>(item: Item) =>
  v.pipe(listOf(item), v.minLength(1, 'must not be empty'))

/** A path, made absolute. */
export const path = ({ directory }: References) =>
  v.pipe(
    text(),
    v.transform((value) => resolve(directory, value)),
  )

interface FileRules {
  readonly holds?: Holds
  /** Describes a path that leads nowhere. */
  readonly inWords?: (path: string) => string
}

/** The bytes of a file. */
export const file = (references: References, { holds = 'trust', inWords = (path) => `: ${path}` }: FileRules = {}) =>
  v.pipe(
    path(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return (references.read ?? readTrusted)(dataset.value, holds)
      } catch (error) {
        const problem =
          error instanceof FileUntrusted
            ? error.message
            : `cannot be read (${systemCode(error)})${inWords(dataset.value)}`
        addIssue({ message: `names a file that ${problem}` })
        return NEVER
      }
    }),
  )

/** The secret itself may be written by mistake where a name is expected, so it is not repeated. */
const unspoken = () => ''
const SECRET_RULE = 'must be either { env: NAME } or { file: PATH }; do not write a secret into this file'

/** A file whose whole contents are a secret, such as a private key. */
export const secretFile = (references: References) =>
  v.pipe(
    file(references, { holds: 'secret' }),
    v.transform((bytes) => new Secret(bytes)),
  )

/** `{ env: NAME }` or `{ file: PATH }`. One newline at a file's end is not part of the secret. */
export const secret = (references: References) =>
  v.pipe(
    discreet(
      v.strictObject(
        {
          env: v.exactOptional(
            about('The name of the environment variable that holds the secret.', text(), 'EKM_SECRET'),
          ),
          file: v.exactOptional(
            about(
              'The path of a file that holds the secret. One newline at its end is ignored.',
              file(references, { holds: 'secret', inWords: unspoken }),
              'secrets/passphrase',
            ),
          ),
        },
        SECRET_RULE,
      ),
    ),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const { env, file } = dataset.value
      if ((env === undefined) === (file === undefined)) {
        addIssue({ message: SECRET_RULE })
        return NEVER
      }
      const flaw = file && secretFlaw(file)
      if (flaw !== undefined) {
        addIssue({
          message: `names a file that ${flaw}: ${WRITE_SECRET}; a secret that is meant so can be { env: NAME }`,
        })
        return NEVER
      }
      const bytes = file?.subarray(0, secretLength(file)) ?? references.variables.reveal(env ?? '')
      if (bytes !== undefined && bytes.length > 0) return new Secret(bytes)
      addIssue({ message: env === undefined ? 'names an empty file' : 'names a variable that is not set' })
      return NEVER
    }),
  )

const NO_CERTIFICATES = 'names a file that does not hold certificates in PEM or DER, or a damaged one'

/** A file of one or more certificates. */
export const certificates = (references: References) =>
  v.pipe(
    file(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const found = parseCertificates(dataset.value)
      if (found !== undefined) return found
      addIssue({ message: NO_CERTIFICATES })
      return NEVER
    }),
  )

/** A file of a certificate and its issuers, as OpenSSL takes them. */
export const pemFile = (references: References) => v.pipe(file(references), v.transform(toPem))

/** A file of one or more certificates, as OpenSSL takes them. */
export const certificateFile = (references: References) =>
  v.pipe(
    pemFile(references),
    v.check((bytes) => parseCertificates(bytes) !== undefined, NO_CERTIFICATES),
  )

/** A list of ciphers that OpenSSL accepts. */
export const cipherList = () =>
  v.pipe(
    text(),
    v.check((ciphers) => {
      try {
        createSecureContext({ ciphers })
        return true
      } catch {
        return false
      }
    }, 'names no cipher that OpenSSL has'),
  )
