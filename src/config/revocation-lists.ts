import * as v from 'valibot'
import { RevocationList } from '../x509/crl.ts'
import { DerError, DerReader } from '../x509/der.ts'
import { Revocation } from '../x509/revocation.ts'
import { about, file, mapping, nonEmptyListOf, oneOf, type References } from '../settings/fields.ts'

/** Bytes, about 250,000 entries. A longer list would delay the start and the reload of every process. */
const MAX_LIST_BYTES = 8 * 1024 * 1024

/** A file of revocation lists: one in DER, or any number in PEM among other text. */
const listFile = (references: References) =>
  v.pipe(
    file(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parseRevocationLists(dataset.value)
      } catch (error) {
        if (!(error instanceof DerError)) throw error
        addIssue({ message: `names a file ${error.message}` })
        return NEVER
      }
    }),
  )

const BEGIN = '-----BEGIN X509 CRL-----'
const END = '-----END X509 CRL-----'

/** @throws DerError that says what is wrong with the file */
export function parseRevocationLists(bytes: Buffer): RevocationList[] {
  if (bytes.length > MAX_LIST_BYTES) throw new DerError(`that is longer than ${MAX_LIST_BYTES} bytes`)
  // DER begins with a SEQUENCE. Text can begin with the same character.
  const isDer = bytes[0] === 0x30 && !bytes.includes('-----BEGIN ')
  const pem = isDer ? [] : blocksIn(bytes.toString('latin1'))
  try {
    return (isDer ? [withoutLineEnd(bytes)] : pem.map(decode)).map((der) => new RevocationList(der))
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new DerError(`that cannot be read as a certificate revocation list: ${error.message}`)
  }
}

/** A file that was edited by hand or written by a shell may end with a line end. */
function withoutLineEnd(der: Buffer): Buffer {
  const { length } = new DerReader(der).next().encoding
  return der.subarray(length).toString('latin1').trim() === '' ? der.subarray(0, length) : der
}

/** The blocks that begin with a list's first line. Like OpenSSL, it ignores other blocks and text around them. */
function blocksIn(text: string): string[] {
  const [, ...blocks] = text.split(BEGIN)
  if (blocks.length > 0) return blocks
  throw new DerError(`that holds no certificate revocation list, in PEM or DER: ${inWords(text)}`)
}

function inWords(text: string): string {
  const labels = new Set(Array.from(text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----/g), ([, label]) => label))
  if (labels.size > 0) return `it holds ${[...labels].slice(0, 5).join(', ')}`
  return text.trim() === '' ? 'it is empty' : 'it holds neither PEM nor DER'
}

function decode(block: string): Buffer {
  const end = block.indexOf(END)
  if (end < 0) throw new DerError('a list has no end')
  const base64 = block.slice(0, end).replaceAll(/\s/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new DerError('a list is not in base64')
  return Buffer.from(base64, 'base64')
}

/** The setting `revocation` of an allow-list entry. */
export const revocation = (references: References) =>
  v.pipe(
    mapping({
      lists: about(
        'Files of certificate revocation lists, PEM or DER: one for each CA that issued a certificate of the path, including the root.',
        nonEmptyListOf(listFile(references)),
        ['root.crl', 'issuing.crl'],
      ),
      whenStale: v.optional(
        about(
          'What to do with a client if no current list covers its certificate: "refuse" it, or "warn" and let it in.',
          oneOf(['refuse', 'warn']),
        ),
        'refuse',
      ),
    }),
    v.transform(({ lists, whenStale }) => new Revocation(lists.flat(), whenStale)),
  )
