import * as v from 'valibot'
import { RevocationList } from '../x509/crl.ts'
import { DerError } from '../x509/der.ts'
import { Revocation } from '../x509/revocation.ts'
import { about, file, mapping, nonEmptyListOf, oneOf, type References } from './fields.ts'

/** A longer list would hold up the start of every process, and nobody's CA has one. */
const MAX_LIST_BYTES = 32 * 1024 * 1024

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
  const text = bytes.subarray(0, 4096).includes('-----BEGIN') ? bytes.toString('latin1') : undefined
  const blocks = text?.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g) ?? []
  if (text !== undefined && blocks.length !== text.split('-----BEGIN').length - 1) return undefined
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
