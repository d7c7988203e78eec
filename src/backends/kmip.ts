import * as v from 'valibot'
import { asBuffer, OperatorError } from '../../adapters/contract/index.ts'
import type { Stage } from '../../adapters/kmip/index.ts'
import { connectionsOf, DEFAULT_PORT } from '../../adapters/kmip/options.ts'
import { LOGIN_REFUSED } from '../../adapters/kmip/transport/unreachable.ts'
import { certificatesIn, toPem } from '../settings/certificate-file.ts'
import { Credentials } from '../settings/credentials.ts'
import {
  about,
  certificateFile,
  cipherList,
  integer,
  mapping,
  nonEmptyListOf,
  oneOf,
  pemFile,
  secret,
  secretFile,
  text,
  type References,
} from '../settings/fields.ts'
import { quoted } from '../base/shell.ts'
import { askPrivateKey, readFileOf } from './init-files.ts'
import type { Interview, Section } from './interview.ts'
import { capacity, type BackendRow, type Refusal } from './row.ts'

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
      'ECDHE+AESGCM',
    ),
  ),
  serverName: v.exactOptional(
    about("The name that the server's certificate must have. By default the host.", text(), 'kms.example.com'),
  ),
})

const kmipServer = () =>
  v.union(
    [
      address(),
      v.pipe(
        mapping({ address: about('Host, or host:port.', address(), 'kms-2.example.com:5696'), ...kmipTls() }),
        v.transform(({ address: where, ...tls }) => ({ ...where, ...tls })),
      ),
    ],
    'must be host or host:port, with an IPv6 address in brackets, or a mapping with address and the TLS settings of this server',
  )

const kmipClientTls = (references: References) =>
  v.pipe(
    mapping({
      ca: about(
        "PEM or DER file of the CA that the server's certificate must chain to.",
        certificateFile(references),
        'kms-ca.pem',
      ),
      certificate: about(
        "PEM or DER file of this client's certificate, followed by its intermediates.",
        pemFile(references),
        'kms-client.pem',
      ),
      key: about("PEM file of the client certificate's private key.", secretFile(references), 'kms-client.key'),
      passphrase: v.exactOptional(
        about('The passphrase of the private key, if the key is encrypted.', secret(references), {
          file: 'kms-client.passphrase',
        }),
      ),
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

const schema = (references: References) =>
  mapping({
    kind: about('Keys in a key manager that speaks KMIP.', v.literal('kmip')),
    servers: about(
      'The servers, in order of preference. All must hold the same keys. The port is 5696 by default.',
      nonEmptyListOf(kmipServer()),
      ['kms-1.example.com', 'kms-2.example.com:5696'],
    ),
    tls: about(
      "TLS towards the servers. The server's certificate and name are always verified.",
      kmipClientTls(references),
    ),
    credentials: v.exactOptional(
      about(
        'A user name and a password to send in every request, for servers that ask for them besides the certificate.',
        mapping({
          username: about('The user name.', text(), 'ekm-gateway'),
          password: about('The password.', secret(references), { file: 'kms-password' }),
        }),
      ),
    ),
    connections: v.exactOptional(about('The most connections to one server. By default 32.', integer(1, 64), 32)),
    protocol: v.exactOptional(
      about(
        'The KMIP version to speak. By default the newest that the server and the gateway both support.',
        oneOf(['1.2', '1.3', '1.4', '2.0', '2.1']),
      ),
    ),
    keyAccess: v.exactOptional(
      about(
        '"export" lets the gateway fetch a key-encryption key and hold it in memory, for algorithms that the server cannot do with it. By default "server".',
        oneOf(['server', 'export']),
      ),
    ),
    ...capacity(),
  })

const questions = {
  server: { option: 'kmip-server', asks: 'the key manager, HOST or HOST:PORT', setting: ['servers', '0'] },
  ca: { option: 'kmip-ca', asks: 'PEM file of the CA that its certificate leads to', setting: ['tls', 'ca'] },
  certificate: {
    option: 'kmip-certificate',
    asks: "PEM file of the gateway's certificate for it",
    setting: ['tls', 'certificate'],
  },
  key: { option: 'kmip-key', asks: "PEM file of that certificate's private key", setting: ['tls', 'key'] },
  passphrase: {
    secret: 'kmip-passphrase',
    asks: 'file that holds the passphrase of that key',
    fallback: 'kms.passphrase',
    setting: ['tls', 'passphrase'],
  },
  user: {
    option: 'kmip-user',
    asks: 'user name, where it wants one besides the certificate',
    fallback: '',
    setting: ['credentials', 'username'],
  },
  password: {
    secret: 'kmip-password',
    asks: "file that holds that user's password",
    fallback: 'kms.password',
    setting: ['credentials', 'password'],
  },
} as const

async function section(interview: Interview): Promise<Section> {
  const { references } = interview
  const holdsCertificates = (path: string) => {
    const [issue] = v.safeParse(certificateFile(references), path).issues ?? []
    if (issue !== undefined) throw new OperatorError('FILE_UNREADABLE', `the answer ${issue.message}`)
  }
  const server = await interview.ask(questions.server, (answer) => {
    if (!v.is(address(), answer)) throw new OperatorError('KMIP_OPTION_INVALID', `the address ${ADDRESS_RULE}`)
  })
  const ca = await interview.askPath(questions.ca, holdsCertificates)
  const { path: certificate, found: pem } = await interview.openPath(questions.certificate, (path) => {
    holdsCertificates(path)
    return toPem(readFileOf(path))
  })
  const key = await askPrivateKey(interview, pem, questions, (credentials) => credentials.problem())
  const username = await interview.ask(questions.user)
  const password = username === '' ? undefined : await interview.askSecret(questions.password)
  return {
    settings: {
      servers: [server],
      tls: { ca, certificate, ...key },
      ...(password !== undefined && { credentials: { username, password } }),
    },
    comments: {
      servers: 'in order of preference, all with the same keys; docs/kmip.md',
      tls: "the CA that the server's certificate leads to, and the gateway's own certificate and key",
    },
  }
}

const advice: Readonly<Record<Stage, string>> = {
  address: 'the address does not answer: is it right, is the server up, does a firewall stand between',
  TLS: 'TLS fails: what answers there may speak no TLS, or only what is old',
  "server's certificate": "the server's certificate is not what kmip-ca leads to, has ended, or names another host",
  "client's certificate": "it refuses the gateway's certificate: have its administrator trust the CA that issued it",
  login: 'it refuses the user name or password: a few more wrong ones may lock the account',
  answer: 'it takes the connection and answers nothing that KMIP knows: look at its log',
}

/** Which stage failed. A login that was refused is not tried again for that. */
async function refusal(settings: v.InferOutput<ReturnType<typeof schema>>, code: string | undefined): Promise<Refusal> {
  if (code === 'KMIP_LOGIN_REFUSED') return { found: advice.login, isFinal: true }
  const { reach } = await import('../../adapters/kmip/index.ts')
  const found = (await reach(settings)).flatMap(({ address, failed }) =>
    failed === undefined ? [] : [`${address}: ${advice[failed.stage]} (${failed.stage}: ${failed.why})`],
  )
  return { found: found.join('; '), isFinal: false }
}

/** Keys in a key manager. */
export const kmip = {
  schema,
  load: () => import('../../adapters/kmip/index.ts'),
  share: (settings, part) => ({ ...settings, connections: part(connectionsOf(settings)) }),
  // One more to each server, for its probe.
  descriptors: (settings) => settings.servers.length * (connectionsOf(settings) + 1),
  login: ({ servers, tls, credentials }) => ({ servers, tls, credentials }),
  certificates: ({ tls }) => [
    ...certificatesIn(tls.certificate).map((certificate) => ({
      role: 'client' as const,
      setting: ['tls', 'certificate'] as const,
      certificate,
    })),
    ...certificatesIn(tls.ca).map((certificate) => ({
      role: 'ca' as const,
      setting: ['tls', 'ca'] as const,
      certificate,
    })),
  ],
  files: [
    { setting: ['tls', 'ca'], holds: 'trust' },
    { setting: ['tls', 'certificate'], holds: 'trust' },
    { setting: ['tls', 'key'], holds: 'secret' },
    { setting: ['tls', 'passphrase', 'file'], holds: 'secret' },
    { setting: ['credentials', 'password', 'file'], holds: 'secret' },
  ],
  isName: (ref) => !ref.startsWith('kmip:'),
  incidents: {
    hostLost: undefined,
    tokenChanged: undefined,
    loginRefused: { event: 'kmip_server_unreachable', code: LOGIN_REFUSED, error: 'KMIP_LOGIN_REFUSED' },
  },
  check: {
    opened: 'connected',
    openAdvice: {
      KMIP_TLS_REFUSED:
        "compare the server's certificate with tls.ca and tls.serverName, and the client's with what the server trusts",
    },
    custody: ({ keyAccess }) =>
      keyAccess === 'export'
        ? {
            found: "keyAccess is export: keys may be fetched into the gateway's memory",
            advice: 'key.way tells which keys need it; remove the setting if none does',
          }
        : undefined,
    command: ({ servers: [server] }, fileOf) => {
      const file = (setting: string) => quoted(fileOf('tls', setting) ?? `${setting}.pem`)
      const where = server === undefined ? `HOST:${DEFAULT_PORT}` : `${server.host}:${server.port ?? DEFAULT_PORT}`
      const files = `-CAfile ${file('ca')} -cert ${file('certificate')} -key ${file('key')}`
      return `openssl s_client -connect ${where} ${files} </dev/null`
    },
    sessions: () => undefined,
    exposedKey: undefined,
    undecidedAdvice: 'find out why the key manager is slow or fails (its load, the network), then check again',
    enabledBy: 'its own tools',
  },
  init: {
    title: 'a key manager that speaks KMIP',
    name: 'kms',
    questions,
    section,
    emptyCode: undefined,
    refusal,
  },
} satisfies BackendRow<v.InferOutput<ReturnType<typeof schema>>>
