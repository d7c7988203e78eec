import { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import * as v from 'valibot'
import { Secret, systemCode } from '../../adapters/contract/index.ts'
import { FileUntrusted, type Holds } from './file-modes.ts'
import { readTrusted, type ReadFile } from './files.ts'
import type { Variables } from './variables.ts'

/** Where references in a configuration lead. */
export interface References {
  /** Paths in the file are relative to this directory. */
  readonly directory: string
  readonly variables: Variables
  /** By default from the disk. */
  readonly read?: ReadFile
}

/** A mapping with just these keys. */
export function mapping<const Entries extends v.ObjectEntries>(entries: Entries) {
  const allowed = Object.keys(entries).join(', ')
  const schema = v.strictObject(entries, ({ expected }) => {
    if (expected === 'never') return `is not a known setting; allowed here: ${allowed}`
    if (expected?.startsWith('"')) return 'is required'
    return `must be a mapping; allowed here: ${allowed}`
  })
  return thorough(schema)
}

/** A mapping from names to values that are all alike. */
export const table = <const Value extends v.GenericSchema>(
  name: v.GenericSchema<string, string>,
  value: Value,
  message: string,
) => thorough(v.record(name, value, message))

/** Valibot takes a list for an object, and of several unknown members tells of the first. An operator is told of all. */
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
      result.issues?.push({ ...unknown, path: [{ ...first, key } as typeof first] })
    }
    return result
  }
  return { ...schema, '~run': run }
}

/** Makes an unknown member a fault of the whole mapping, and so does not tell its name. */
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

/** `schema`, with what editors show beside the setting. */
export const about = <const Schema extends v.GenericSchema>(description: string, schema: Schema) =>
  v.pipe(schema, v.description(description))

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
  /** How a path that leads nowhere is told. */
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

/** Where a name is expected, the secret itself may stand by mistake: it is not repeated. */
const unspoken = () => ''
const SECRET_RULE = 'must be either { env: NAME } or { file: PATH }; a secret never stands in this file itself'

/** A file that is a secret as a whole, such as a private key. */
export const secretFile = (references: References) =>
  v.pipe(
    file(references, { holds: 'secret' }),
    v.transform((bytes) => new Secret(bytes)),
  )

/** `{ env: NAME }` or `{ file: PATH }`; one newline at a file's end is not part of the secret. */
export const secret = (references: References) =>
  v.pipe(
    discreet(
      v.strictObject(
        {
          env: v.exactOptional(about('The name of the environment variable that holds the secret.', text())),
          file: v.exactOptional(
            about(
              'The path of a file that holds the secret; one newline at its end does not count.',
              file(references, { holds: 'secret', inWords: unspoken }),
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
      const bytes = file ?? references.variables.reveal(env ?? '') ?? new Uint8Array()
      const end = file === undefined ? bytes.length : lengthWithoutNewline(bytes)
      if (end > 0) return new Secret(bytes.subarray(0, end))
      addIssue({ message: env === undefined ? 'names an empty file' : 'names a variable that is not set' })
      return NEVER
    }),
  )

function lengthWithoutNewline(bytes: Uint8Array): number {
  if (bytes.at(-1) !== 0x0a) return bytes.length
  return bytes.at(-2) === 0x0d ? bytes.length - 2 : bytes.length - 1
}

/** A file of one or more PEM certificates. */
export const certificates = (references: References) =>
  v.pipe(
    file(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const found = parsePemCertificates(dataset.value.toString('latin1'))
      if (found !== undefined) return found
      addIssue({ message: 'names a file that is not a list of PEM certificates' })
      return NEVER
    }),
  )

/** The bytes of a file of one or more PEM certificates. */
export const certificateFile = (references: References) =>
  v.pipe(
    file(references),
    v.check(
      (bytes) => parsePemCertificates(bytes.toString('latin1')) !== undefined,
      'names a file that is not a list of PEM certificates',
    ),
  )

/** What OpenSSL takes for a list of ciphers. */
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

/** Every certificate in a PEM text; `undefined` if there is none, or one of them is damaged. */
export function parsePemCertificates(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0 || blocks.length !== pem.split('-----BEGIN CERTIFICATE-----').length - 1) return undefined
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return undefined
  }
}
