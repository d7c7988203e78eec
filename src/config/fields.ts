import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { Secret, systemCode } from '../../adapters/contract/index.ts'

/** Where references in a configuration lead. */
export interface References {
  /** Paths in the file are relative to this directory. */
  readonly directory: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A mapping with just these keys. */
export function mapping<const Entries extends v.ObjectEntries>(entries: Entries) {
  const allowed = Object.keys(entries).join(', ')
  return v.strictObject(entries, ({ expected }) => {
    if (expected === 'never') return `is not a known setting; allowed here: ${allowed}`
    if (expected?.startsWith('"')) return 'is required'
    return `must be a mapping; allowed here: ${allowed}`
  })
}

export const text = () => v.pipe(v.string('must be text'), v.nonEmpty('must not be empty'))

export const integer = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message))
}

export const oneOf = <const Options extends readonly string[]>(options: Options) =>
  v.picklist(options, `must be one of: ${options.join(', ')}`)

export const listOf = <const Item extends v.GenericSchema>(item: Item) => v.array(item, 'must be a list')

/** A path, made absolute. */
export const path = ({ directory }: References) =>
  v.pipe(
    text(),
    v.transform((value) => resolve(directory, value)),
  )

/** The bytes of a file. */
export const file = (references: References) =>
  v.pipe(
    path(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return readFileSync(dataset.value)
      } catch (error) {
        addIssue({ message: `names a file that cannot be read (${systemCode(error)}): ${dataset.value}` })
        return NEVER
      }
    }),
  )

/** `{ env: NAME }` or `{ file: PATH }`; one newline at a file's end is not part of the secret. */
export const secret = (references: References) =>
  v.pipe(
    v.strictObject({ env: v.exactOptional(text()), file: v.exactOptional(file(references)) }, ({ expected }) =>
      expected === 'never'
        ? 'is not a known setting; allowed here: env, file'
        : 'must be { env: NAME } or { file: PATH }; a secret never stands in this file itself',
    ),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const { env, file } = dataset.value
      if ((env === undefined) === (file === undefined)) {
        addIssue({ message: 'must be { env: NAME } or { file: PATH }, one of the two' })
        return NEVER
      }
      const bytes = file ?? Buffer.from(references.environment[env ?? ''] ?? '')
      const end = file === undefined ? bytes.length : lengthWithoutNewline(bytes)
      if (end > 0) return new Secret(bytes.subarray(0, end))
      addIssue({ message: env === undefined ? 'names an empty file' : `names a variable that is not set: ${env}` })
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
      if (found !== undefined && found.length > 0) return found
      addIssue({ message: 'names a file that is not a list of PEM certificates' })
      return NEVER
    }),
  )

/** Every certificate in a PEM text; `undefined` if one of them is damaged. */
export function parsePemCertificates(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return undefined
  }
}
