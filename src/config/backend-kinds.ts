import * as v from 'valibot'
import type { WrapAlgorithm } from '../../adapters/contract/index.ts'
import { about, flag, integer, listOf, mapping, path, secret, text, type References } from './fields.ts'

const software = (references: References) =>
  mapping({
    kind: about('Keys in encrypted files, used in this process: for development and trials.', v.literal('software')),
    directory: about('The directory of the key store.', path(references)),
    passphrase: about('What the key store is encrypted under.', secret(references)),
  })

const TOKEN_RULE = 'must be a mapping with at least one of label, serial and slot, or a pkcs11: URI'

/** A `pkcs11:` URI is read by the adapter, which knows RFC 7512. */
const token = () =>
  v.union(
    [
      v.pipe(v.string(), v.regex(/^pkcs11:/i, TOKEN_RULE)),
      v.pipe(
        mapping({
          label: v.exactOptional(about("The token's label.", text())),
          serial: v.exactOptional(about("The token's serial number.", text())),
          slot: v.exactOptional(
            about(
              'The slot id, decimal or 0x hexadecimal; in quotes beyond 2^53.',
              v.union(
                [v.pipe(integer(0, Number.MAX_SAFE_INTEGER), v.transform(String)), v.string()],
                'must be a number, in quotes beyond 2^53',
              ),
            ),
          ),
        }),
        v.check((given) => Object.keys(given).length > 0, TOKEN_RULE),
      ),
    ],
    TOKEN_RULE,
  )

const mechanismNumber = () => integer(0, 0xffff_ffff)

const mechanismFor = (algorithm: WrapAlgorithm) =>
  v.exactOptional(about(`The mechanism for ${algorithm}, by number.`, mechanismNumber()))

const mechanisms = () =>
  mapping({
    pin: v.exactOptional(
      about(
        'The one mechanism to use for an algorithm, once it has passed the checks.',
        mapping({
          A256KW: mechanismFor('A256KW'),
          A256KWP: mechanismFor('A256KWP'),
          'RSA-OAEP': mechanismFor('RSA-OAEP'),
          'RSA-OAEP-256': mechanismFor('RSA-OAEP-256'),
        }),
      ),
    ),
    forbid: v.exactOptional(about('Mechanisms that are never used, by number.', listOf(mechanismNumber()))),
  })

const pkcs11 = (references: References) =>
  mapping({
    kind: about('Keys in an HSM, through its PKCS#11 library.', v.literal('pkcs11')),
    module: about("The vendor's PKCS#11 library.", path(references)),
    libraryParameters: v.exactOptional(
      about('Handed to C_Initialize, for libraries such as NSS that need it; not a place for a secret.', text()),
    ),
    token: about('Which token: label, serial, slot, or a pkcs11: URI (RFC 7512).', token()),
    pin: v.exactOptional(about("The user's PIN; absent for a token with a PIN pad.", secret(references))),
    sessions: v.exactOptional(
      about(
        'Calls that the HSM is given at a time: processes with a session each. By default one per core, 2 to 4, and never more than the token allows.',
        integer(1, 64),
      ),
    ),
    requireSensitive: v.exactOptional(
      about('Refuse keys that are not CKA_SENSITIVE, or that are CKA_EXTRACTABLE, instead of only warning.', flag()),
    ),
    mechanisms: v.exactOptional(about('What to use or not to use whatever the checks say.', mechanisms())),
    callTimeoutMs: v.exactOptional(
      about(
        'Milliseconds after which a call that has not returned is taken to hang, and its process is replaced. By default 1000.',
        integer(250, 60_000),
      ),
    ),
  })

const kinds = (references: References) => [software(references), pkcs11(references)] as const

/** One row for each kind of backend: the settings that an operator gives it. `src/backends.ts` has its module. */
export const backend = (references: References) => {
  const options = kinds(references)
  const names = options.map(({ entries }) => entries.kind.literal).join(', ')
  return v.variant('kind', options, `must be a mapping whose kind is one of: ${names}`)
}
