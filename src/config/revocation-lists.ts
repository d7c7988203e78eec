import * as v from 'valibot'
import { RevocationList } from '../x509/crl.ts'
import { DerError } from '../x509/der.ts'
import { Revocation } from '../x509/revocation.ts'
import { about, file, mapping, nonEmptyListOf, oneOf, type References } from './fields.ts'

/** A longer list would hold up the start and the reload of every process: some 250,000 entries. */
const MAX_LIST_BYTES = 8 * 1024 * 1024

/** A file of certificate revocation lists: one in DER, or any number in PEM. */
const listFile = (references: References) =>
  v.pipe(
    file(references),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const lists = dataset.value.length > MAX_LIST_BYTES ? undefined : parseRevocationLists(dataset.value)
      if (lists !== undefined) return lists
      addIssue({
        message: `names a file that is not a certificate revocation list, in PEM or DER, of at most ${MAX_LIST_BYTES} bytes`,
      })
      return NEVER
    }),
  )

/** `undefined` if there is none, or one of them is damaged. */
export function parseRevocationLists(bytes: Buffer): RevocationList[] | undefined {
  // Text before it is openssl crl -text; a list in DER begins with a SEQUENCE.
  const text = bytes[0] !== 0x30 || bytes.includes('-----BEGIN X509 CRL') ? bytes.toString('latin1') : undefined
  const blocks = text?.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g) ?? []
  const isDamaged = blocks.length === 0 || blocks.length !== (text?.split('-----BEGIN').length ?? 0) - 1
  if (text !== undefined && isDamaged) return undefined
  try {
    return text === undefined ? [new RevocationList(bytes)] : blocks.map((block) => new RevocationList(decode(block)))
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

const decode = (block: string): Buffer => Buffer.from(block.replaceAll(/-----[^-]+-----/g, ''), 'base64')

/** The `revocation` of an allow-list entry. */
export const revocation = (references: References) =>
  v.pipe(
    mapping({
      lists: about(
        'Files of certificate revocation lists, PEM or DER: one for each CA that issued a certificate of the path, the root too.',
        nonEmptyListOf(listFile(references)),
      ),
      whenStale: v.optional(
        about(
          'What becomes of a client if no current list tells of its certificate: "refuse" it, or "warn" and let it in.',
          oneOf(['refuse', 'warn']),
        ),
        'refuse',
      ),
    }),
    v.transform(({ lists, whenStale }) => new Revocation(lists.flat(), whenStale)),
  )
