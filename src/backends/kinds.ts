import * as v from 'valibot'
import { asBuffer, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { Credentials } from '../settings/credentials.ts'
import {
  about,
  certificateFile,
  cipherList,
  file,
  flag,
  integer,
  listOf,
  mapping,
  nonEmptyListOf,
  oneOf,
  path,
  secret,
  secretFile,
  text,
  type References,
} from '../settings/fields.ts'

const software = (references: References) =>
  mapping({
    kind: about('Keys in encrypted files, used in this process: for development and trials.', v.literal('software')),
    directory: about('The directory of the key store.', path(references)),
    passphrase: about('What the key store is encrypted under.', secret(references)),
    ...capacity(),
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
    ...capacity(),
  })

const ADDRESS_RULE = 'must be a host, or host:port, with an IPv6 address in brackets'

/** `kms.example`, `kms.example:5696`, `10.0.0.1:5696`, `[::1]:5696`. */
const address = () =>
  v.pipe(
    v.string(ADDRESS_RULE),
    v.rawTransform(({ dataset, addIssue, NEVER }): { host: string; port?: number } => {
      const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(dataset.value)
      const host = found?.[1] ?? found?.[2]
      const port = found?.[3] === undefined ? undefined : Number(found[3])
      if (host !== undefined && (port === undefined || (port >= 1 && port <= 65_535))) {
        return { host, ...(port !== undefined && { port }) }
      }
      addIssue({ message: ADDRESS_RULE })
      return NEVER
    }),
  )

const kmipTls = () => ({
  minVersion: v.exactOptional(
    about('The lowest TLS version to accept. By default TLSv1.2.', oneOf(['TLSv1.2', 'TLSv1.3'])),
  ),
  ciphers: v.exactOptional(
    about(
      "OpenSSL's cipher list. By default only suites with forward secrecy and authenticated encryption.",
      cipherList(),
    ),
  ),
  serverName: v.exactOptional(
    about("The name that the server's certificate must have, if it is not the host.", text()),
  ),
})

const kmipServer = () =>
  v.union(
    [
      address(),
      v.pipe(
        mapping({ address: about('Host, or host:port.', address()), ...kmipTls() }),
        v.transform(({ address: where, ...tls }) => ({ ...where, ...tls })),
      ),
    ],
    'must be host or host:port, an IPv6 address in brackets, or a mapping with address and what TLS needs for this server',
  )

const kmipClientTls = (references: References) =>
  v.pipe(
    mapping({
      ca: about("PEM file of the CA that the server's certificate must chain to.", certificateFile(references)),
      certificate: about("PEM file of this client's certificate, followed by its intermediates.", file(references)),
      key: about("PEM file of the client certificate's private key.", secretFile(references)),
      passphrase: v.exactOptional(about('What opens the key, if it is encrypted.', secret(references))),
      ...kmipTls(),
    }),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      const { certificate, key, passphrase } = dataset.value
      const bytes = asBuffer(key.reveal())
      const problem = new Credentials({ cert: certificate, key: bytes, ...(passphrase && { passphrase }) }).problem()
      bytes.fill(0)
      if (problem !== undefined) addIssue({ message: `does not hold a usable certificate and key: ${problem}` })
    }),
  )

const kmip = (references: References) =>
  mapping({
    kind: about('Keys in a key manager that speaks KMIP.', v.literal('kmip')),
    servers: about(
      'The servers, in order of preference, all with the same keys; the port is 5696 unless it is given.',
      nonEmptyListOf(kmipServer()),
    ),
    tls: about(
      'How connections are made. Certificate and name of the server are always verified.',
      kmipClientTls(references),
    ),
    credentials: v.exactOptional(
      about(
        'User name and password in every request, for servers that want them besides the certificate.',
        mapping({ username: about('The user name.', text()), password: about('The password.', secret(references)) }),
      ),
    ),
    connections: v.exactOptional(about('Connections to each server at most. By default 8.', integer(1, 64))),
    protocol: v.exactOptional(
      about(
        'The KMIP version to speak instead of the best that the server knows.',
        oneOf(['1.2', '1.3', '1.4', '2.0', '2.1']),
      ),
    ),
    keyAccess: v.exactOptional(
      about(
        '"export" lets the gateway fetch key-encryption keys where the server can do no better, and hold them in memory.',
        oneOf(['server', 'export']),
      ),
    ),
    ...capacity(),
  })

/** For every kind: how much the gateway asks of it. */
const capacity = () => ({
  concurrency: v.optional(about('Calls under way at once.', integer(1, 4096)), 64),
  queue: v.optional(
    about('Calls of one pool that may wait for their turn; the next is answered with 429.', integer(0, 65_536)),
    256,
  ),
})

const kinds = (references: References) => [software(references), pkcs11(references), kmip(references)] as const

/** One row for each kind of backend: the settings that an operator gives it. `src/backends/index.ts` has its module. */
export const backend = (references: References) => {
  const options = kinds(references)
  const names = options.map(({ entries }) => entries.kind.literal).join(', ')
  return v.variant('kind', options, `must be a mapping whose kind is one of: ${names}`)
}

export type BackendConfig = v.InferOutput<ReturnType<typeof backend>>
export type BackendKind = BackendConfig['kind']
