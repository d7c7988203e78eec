import {
  alternativeNames,
  basicConstraints,
  certifyCa,
  certifyClient,
  directory,
  dns,
  extKeyUsage,
  keyUsage,
  nameConstraints,
  sending,
  unknownExtension,
  type Holder,
  type KeyKind,
  type Wanted,
} from '../../support/certify.ts'
import type { Identity } from '../../support/pki.ts'

/**
 * The table of test/tls/identities.test.ts: who the clients are, whom the pools trust, and which pool takes which client.
 * Every client meets every pool of its list, in every way of arriving.
 */

/** The name that the pools allow. Every client has it unless its row says otherwise. */
export const RIGHT = 'contoso.managedhsmclient.azure.net'
/** Another tenant's name. */
export const OTHER = 'fabrikam.managedhsmclient.azure.net'

const SECOND = 1000
const DAY = 24 * 3600 * SECOND

/** The age of the certificates of clients with wrong dates. */
const old = { from: -60 * DAY }

/** The CAs, and the clients that are listed as if they were CAs. */
export function makeCas() {
  const [rootA, rootB, rootC] = [certifyCa('root A', old), certifyCa('root B', old), certifyCa('root C', old)]
  return {
    rootA,
    rootB,
    rootC,
    issuingC: certifyCa('issuing CA of C', { by: rootC }),
    /** A root that no pool lists. */
    nobody: certifyCa('nobody’s root'),
    expired: certifyCa('expired root', { from: -30 * DAY, until: -SECOND }),
    ancient: certifyCa('root of version 1', { version: 1, extensions: noExtensions }),
    /** A root whose own constraints bind what it issues (RFC 5937). */
    strict: certifyCa('strict root', {
      extensions: {
        basicConstraints: basicConstraints(true, 0),
        nameConstraints: nameConstraints('permitted', dns('azure.net')),
      },
    }),
    serversOnly: certifyCa('root for servers', { extensions: { extKeyUsage: extKeyUsage('serverAuth') } }),
    /** A root without a key usage. A root that may not sign certificates is refused with the configuration. */
    selfSigned: certifyClient(RIGHT, undefined, { organization: 'Listed', extensions: { keyUsage: undefined } }),
    listedLeaf: certifyClient(RIGHT, certifyCa('an unlisted root'), { organization: 'Listed too' }),
  }
}

const noExtensions = {
  basicConstraints: undefined,
  keyUsage: undefined,
  extKeyUsage: undefined,
  authorityKeyId: undefined,
}

export type Cas = ReturnType<typeof makeCas>
export type CaName = keyof Cas

/** A pool's entries: names, and the roots for each name. */
export const pools = {
  A: [{ names: [RIGHT], cas: ['rootA'] }],
  B: [{ names: [RIGHT], cas: ['rootB'] }],
  AB: [
    { names: [RIGHT], cas: ['rootA'] },
    { names: [RIGHT], cas: ['rootB'] },
  ],
  'A-and-B': [{ names: [RIGHT], cas: ['rootA', 'rootB'] }],
  X: [{ names: [OTHER], cas: ['rootA'] }],
  pair: [
    { names: [RIGHT], cas: ['rootA'] },
    { names: [OTHER], cas: ['rootB'] },
  ],
  C: [{ names: [RIGHT], cas: ['rootC', 'issuingC'] }],
  expired: [{ names: [RIGHT], cas: ['expired'] }],
  ancient: [{ names: [RIGHT], cas: ['ancient'] }],
  strict: [{ names: [RIGHT], cas: ['strict'] }],
  servers: [{ names: [RIGHT], cas: ['serversOnly'] }],
  listed: [{ names: [RIGHT], cas: ['selfSigned', 'listedLeaf'] }],
} as const satisfies Record<string, readonly { names: readonly string[]; cas: readonly CaName[] }[]>

export type PoolName = keyof typeof pools
export const poolNames = Object.keys(pools) as PoolName[]
/**
 * The pools of roots A and B. The other pools matter only to clients of other roots, and to a few that stand for all.
 */
const usualPools = ['A', 'B', 'AB', 'A-and-B', 'X', 'pair'] as const satisfies readonly PoolName[]

export interface Row {
  readonly name: string
  readonly make: (cas: Cas) => Identity | undefined
  /** The pools that accept the client. */
  readonly at: readonly PoolName[]
  /**
   * Why its certificate is refused; absent if an entry of some pool trusts it, and only some names or pools are wrong.
   */
  readonly because?: string
  /** Why entries of pools that name the client refuse its certificate, while another pool accepts it. */
  readonly refusedAt?: Partial<Readonly<Record<PoolName, string>>>
  /** The reason on a resumed session, where no issuing CA is sent, if it differs. */
  readonly resumedBecause?: string
}

const ofA = ['A', 'AB', 'A-and-B', 'pair'] as const
const ofB = ['B', 'AB', 'A-and-B'] as const

let made = 0
/** A CA for one client only: what one client teaches the gateway must not help another. */
const ownCa = (by: Holder | undefined, wanted: Partial<Wanted> = {}): Holder =>
  certifyCa(`issuing CA ${(made += 1)}`, { ...(by && { by }), ...wanted })

/** A client behind a CA that it sends. */
function behind(root: Holder, ca: Partial<Wanted> = {}, client: Partial<Wanted> = {}): Identity {
  const issuing = ownCa(root, ca)
  return sending(certifyClient(RIGHT, issuing, client), issuing)
}

/** A client behind two CAs, with extensions of the upper one. */
function deepBehind(root: Holder, upper: Partial<Wanted>, order: 'right' | 'wrong' = 'right'): Identity {
  const first = ownCa(root, upper)
  const second = ownCa(first)
  const sent = order === 'right' ? [second, first] : [first, second]
  return sending(certifyClient(RIGHT, second), ...sent)
}

const withKey =
  (key: KeyKind) =>
  ({ rootA }: Cas) =>
    sending(certifyClient(RIGHT, rootA, { key }))

const forServers = { extKeyUsage: extKeyUsage('serverAuth') }

/** Root A's restrictions on a CA that root B certified without them. */
const restrictions: readonly (readonly [name: string, Partial<Wanted>, refusal: string])[] = [
  ['a path length', { extensions: { basicConstraints: basicConstraints(true, 0) } }, 'PATH_TOO_LONG'],
  ['a permitted host', { extensions: { nameConstraints: nameConstraints('permitted', dns('example.org')) } }, 'NAME_NOT_PERMITTED'],
  ['an excluded host', { extensions: { nameConstraints: nameConstraints('excluded', dns('azure.net')) } }, 'NAME_NOT_PERMITTED'],
  ['a permitted organization', { extensions: { nameConstraints: nameConstraints('permitted', directory('Other')) } }, 'NAME_NOT_PERMITTED'],
  ['server-only EKU', { extensions: forServers }, 'USAGE_NOT_PERMITTED'],
  ['an unknown critical extension', { extensions: { unknown: unknownExtension(true) } }, 'CRITICAL_EXTENSION_UNKNOWN'],
  ['no right to sign certificates', { extensions: { keyUsage: keyUsage('cRLSign') } }, 'USAGE_NOT_PERMITTED'],
  ['that it is no CA', { extensions: { basicConstraints: basicConstraints(false) } }, 'ISSUER_NOT_A_CA'],
  ['an end in the past', { from: -30 * DAY, until: -SECOND }, 'CERT_HAS_EXPIRED'],
  ['a start in the future', { from: DAY }, 'CERT_NOT_YET_VALID'],
  ['a signature with SHA-1', { hash: 'sha1' }, 'SIGNATURE_INVALID'],
] /* prettier-ignore */ // one case a line

/** Root A certified a CA with a restriction that forbids the client. Root B certified the same key without one. */
function crossCertified({ rootA, rootB }: Cas, byA: Partial<Wanted>, first: 'A' | 'B'): Identity {
  const restricted = ownCa(rootA, byA)
  const free = certifyCa(`issuing CA ${made}`, { by: rootB, key: restricted })
  // The chain has one more CA, so that a path length counts.
  const issuing = ownCa(free)
  const crossed = first === 'A' ? [restricted, free] : [free, restricted]
  return sending(certifyClient(RIGHT, issuing), issuing, ...crossed)
}

const crossRows = restrictions.flatMap(([name, byA, refusal]) =>
  (['A', 'B'] as const).map((first): Row => ({
    name: `behind a CA of A and B, of which A says ${name}; ${first}’s certificate is sent first`,
    make: (cas) => crossCertified(cas, byA, first),
    at: ofB,
    refusedAt: { A: refusal, pair: refusal },
  })),
)

/** Roots and names. */
const plainRows: readonly Row[] = [
  { name: 'of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA)), at: ofA },
  { name: 'of B', make: ({ rootB }) => sending(certifyClient(RIGHT, rootB)), at: ofB },
  { name: 'of A, with root A sent', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA), rootA), at: ofA },
  { name: 'of B, with root A sent', make: ({ rootA, rootB }) => sending(certifyClient(RIGHT, rootB), rootA), at: ofB },
  { name: 'of C’s configured issuing CA', make: ({ issuingC }) => sending(certifyClient(RIGHT, issuingC)), at: ['C'] },
  { name: 'of root C itself', make: ({ rootC }) => sending(certifyClient(RIGHT, rootC)), at: ['C'] },
  { name: 'another tenant’s, of A', make: ({ rootA }) => sending(certifyClient(OTHER, rootA)), at: ['X'] },
  { name: 'another tenant’s, of B', make: ({ rootB }) => sending(certifyClient(OTHER, rootB)), at: ['pair'] },
  { name: 'with the right name in capitals, of A', make: ({ rootA }) => sending(certifyClient(RIGHT.toUpperCase(), rootA)), at: [] },
  { name: 'with two common names, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { commonNames: [OTHER, RIGHT] })), at: [] },
  { name: 'with the right name only as an alternative one, of A', make: ({ rootA }) => sending(certifyClient('mallory', rootA, { extensions: { names: alternativeNames(dns(RIGHT)) } })), at: [] },
  { name: 'without a common name, of A', make: ({ rootA }) => sending(certifyClient('', rootA, { commonNames: [], organization: RIGHT })), at: [] },
  { name: 'without a certificate', make: () => undefined, at: [], because: 'NO_CERTIFICATE' },
  { name: 'self-signed', make: () => sending(certifyClient(RIGHT, undefined)), at: [], because: 'ISSUER_UNKNOWN' },
  { name: 'of nobody’s root', make: ({ nobody }) => sending(certifyClient(RIGHT, nobody), nobody), at: [], because: 'ISSUER_UNKNOWN' },
  { name: 'of a root with A’s name and another key', make: () => { const twin = certifyCa('root A'); return sending(certifyClient(RIGHT, twin), twin) }, at: [], because: 'SIGNATURE_INVALID' },
  { name: 'that says to be of A, and is signed by another key', make: ({ rootA, nobody }) => sending(certifyClient(RIGHT, rootA, { signedBy: nobody })), at: [], because: 'SIGNATURE_INVALID' },
] /* prettier-ignore */ // one case a line

/** The CAs between the client and the root. */
const issuingRows: readonly Row[] = [
  { name: 'behind an issuing CA of A that is sent', make: ({ rootA }) => behind(rootA), at: ofA },
  { name: 'behind an issuing CA of B that is sent', make: ({ rootB }) => behind(rootB), at: ofB },
  { name: 'behind an issuing CA of A that is not sent', make: ({ rootA }) => sending(certifyClient(RIGHT, ownCa(rootA))), at: [], because: 'ISSUER_UNKNOWN' },
  { name: 'behind an issuing CA of nobody', make: ({ nobody }) => behind(nobody), at: [], because: 'ISSUER_UNKNOWN' },
  { name: 'behind two issuing CAs of A', make: ({ rootA }) => deepBehind(rootA, {}), at: ofA },
  { name: 'behind two issuing CAs of A, sent in the wrong order', make: ({ rootA }) => deepBehind(rootA, {}, 'wrong'), at: ofA },
  { name: 'behind one more than the configured CA of C', make: ({ issuingC }) => behind(issuingC), at: ['C'] },
  { name: 'behind an issuing CA of A, with 7 others of its name sent before it', make: ({ rootA }) => { const issuing = ownCa(rootA); const junk = Array.from({ length: 7 }, () => certifyCa(`issuing CA ${made}`)); return sending(certifyClient(RIGHT, issuing), ...junk, issuing) }, at: ofA, refusedAt: { B: 'SIGNATURE_INVALID' } },
  { name: 'behind a CA that A and B certified alike', make: ({ rootA, rootB }) => { const one = ownCa(rootA); const other = certifyCa(`issuing CA ${made}`, { by: rootB, key: one }); return sending(certifyClient(RIGHT, one), one, other) }, at: ['A', 'B', 'AB', 'A-and-B', 'pair'] },
  { name: 'behind a CA that A and B certified alike, of which A’s certificate is sent', make: ({ rootA, rootB }) => { const one = ownCa(rootA); certifyCa(`issuing CA ${made}`, { by: rootB, key: one }); return sending(certifyClient(RIGHT, one), one) }, at: ofA },
  { name: 'issued by a client of A', make: ({ rootA }) => { const client = certifyClient(`client ${(made += 1)}`, rootA); return sending(certifyClient(RIGHT, client), client) }, at: [], because: 'ISSUER_NOT_A_CA', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a certificate of A without basic constraints', make: ({ rootA }) => behind(rootA, { extensions: { basicConstraints: undefined } }), at: [], because: 'ISSUER_NOT_A_CA', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A of version 1', make: ({ rootA }) => behind(rootA, { version: 1, extensions: noExtensions }), at: [], because: 'ISSUER_NOT_A_CA', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A that may not sign certificates', make: ({ rootA }) => behind(rootA, { extensions: { keyUsage: keyUsage('cRLSign') } }), at: [], because: 'USAGE_NOT_PERMITTED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A with path length 0', make: ({ rootA }) => behind(rootA, { extensions: { basicConstraints: basicConstraints(true, 0) } }), at: ofA },
  { name: 'behind two CAs of A, the upper one with path length 1', make: ({ rootA }) => deepBehind(rootA, { extensions: { basicConstraints: basicConstraints(true, 1) } }), at: ofA },
  { name: 'behind two CAs of A, the upper one with path length 0', make: ({ rootA }) => deepBehind(rootA, { extensions: { basicConstraints: basicConstraints(true, 0) } }), at: [], because: 'PATH_TOO_LONG', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A for the right host', make: ({ rootA }) => behind(rootA, { extensions: { nameConstraints: nameConstraints('permitted', dns('azure.net')) } }), at: ofA },
  { name: 'behind a CA of A for another host', make: ({ rootA }) => behind(rootA, { extensions: { nameConstraints: nameConstraints('permitted', dns('example.org')) } }), at: [], because: 'NAME_NOT_PERMITTED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A for all but the right host', make: ({ rootA }) => behind(rootA, { extensions: { nameConstraints: nameConstraints('excluded', dns('azure.net')) } }), at: [], because: 'NAME_NOT_PERMITTED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A for its organization', make: ({ rootA }) => behind(rootA, { extensions: { nameConstraints: nameConstraints('permitted', directory('Contoso')) } }, { organization: 'Contoso' }), at: ofA },
  { name: 'behind a CA of A for another organization', make: ({ rootA }) => behind(rootA, { extensions: { nameConstraints: nameConstraints('permitted', directory('Other')) } }, { organization: 'Contoso' }), at: [], because: 'NAME_NOT_PERMITTED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A for all but its organization', make: ({ rootA }) => behind(rootA, { extensions: { nameConstraints: nameConstraints('excluded', directory('Contoso')) } }, { organization: 'Contoso' }), at: [], because: 'NAME_NOT_PERMITTED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A for clients', make: ({ rootA }) => behind(rootA, { extensions: { extKeyUsage: extKeyUsage('clientAuth') } }), at: ofA },
  { name: 'behind a CA of A for servers', make: ({ rootA }) => behind(rootA, { extensions: forServers }), at: [], because: 'USAGE_NOT_PERMITTED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A with an unknown critical extension', make: ({ rootA }) => behind(rootA, { extensions: { unknown: unknownExtension(true) } }), at: [], because: 'CRITICAL_EXTENSION_UNKNOWN', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A with an unknown extension', make: ({ rootA }) => behind(rootA, { extensions: { unknown: unknownExtension(false) } }), at: ofA },
  { name: 'behind an expired CA of A', make: ({ rootA }) => behind(rootA, { from: -30 * DAY, until: -SECOND }), at: [], because: 'CERT_HAS_EXPIRED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A that is not yet valid', make: ({ rootA }) => behind(rootA, { from: DAY }), at: [], because: 'CERT_NOT_YET_VALID', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A with RSA-1024', make: ({ rootA }) => behind(rootA, { key: 'RSA-1024' }), at: [], because: 'KEY_NOT_ALLOWED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A with secp256k1', make: ({ rootA }) => behind(rootA, { key: 'secp256k1' }), at: [], because: 'KEY_NOT_ALLOWED', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'behind a CA of A with RSA-2048', make: ({ rootA }) => behind(rootA, { key: 'RSA-2048' }), at: ofA },
  { name: 'behind a CA of A with Ed25519', make: ({ rootA }) => behind(rootA, { key: 'Ed25519' }), at: ofA },
  { name: 'behind a CA of A that was signed with SHA-1', make: ({ rootA }) => behind(rootA, { hash: 'sha1' }), at: [], because: 'SIGNATURE_INVALID', resumedBecause: 'ISSUER_UNKNOWN' },
] /* prettier-ignore */ // one case a line

/** The client's certificate itself. */
const leafRows: readonly Row[] = [
  { name: 'expired, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { until: -SECOND })), at: [], because: 'CERT_HAS_EXPIRED' },
  { name: 'not yet valid, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { from: DAY })), at: [], because: 'CERT_NOT_YET_VALID' },
  { name: 'for servers, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: forServers })), at: [], because: 'USAGE_NOT_PERMITTED' },
  { name: 'for servers and clients, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: { extKeyUsage: extKeyUsage('serverAuth', 'clientAuth') } })), at: ofA },
  { name: 'for any purpose, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: { extKeyUsage: extKeyUsage('any') } })), at: ofA },
  { name: 'of no stated purpose, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: noExtensions })), at: ofA },
  { name: 'of version 1, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { version: 1, extensions: noExtensions })), at: ofA },
  { name: 'that may not sign, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: { keyUsage: keyUsage('keyAgreement') } })), at: [], because: 'USAGE_NOT_PERMITTED' },
  { name: 'with an unknown critical extension, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: { unknown: unknownExtension(true) } })), at: [], because: 'CRITICAL_EXTENSION_UNKNOWN' },
  { name: 'with an unknown extension, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: { unknown: unknownExtension(false) } })), at: ofA },
  { name: 'with an extension that comes twice, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { extensions: { again: extKeyUsage('serverAuth') } })), at: [], because: 'CERTIFICATE_MALFORMED' },
  { name: 'with P-384, of A', make: withKey('P-384'), at: ofA },
  { name: 'with P-521, of A', make: withKey('P-521'), at: ofA },
  { name: 'with Ed25519, of A', make: withKey('Ed25519'), at: ofA },
  { name: 'with RSA-2048, of A', make: withKey('RSA-2048'), at: ofA },
  { name: 'with RSA-1024, of A', make: withKey('RSA-1024'), at: [], because: 'KEY_NOT_ALLOWED' },
  // TLS 1.3 has no signature scheme for this curve, so that the client sends no certificate.
  { name: 'with secp256k1, of A', make: withKey('secp256k1'), at: [], because: 'NO_CERTIFICATE' },
  { name: 'signed with SHA-1, of A', make: ({ rootA }) => sending(certifyClient(RIGHT, rootA, { hash: 'sha1' })), at: [], because: 'SIGNATURE_INVALID' },
] /* prettier-ignore */ // one case a line

/** Unusual roots, and listed certificates that are not roots. */
const rootRows: readonly Row[] = [
  { name: 'of an expired root', make: ({ expired }) => sending(certifyClient(RIGHT, expired)), at: [], because: 'CERT_HAS_EXPIRED' },
  { name: 'of a root of version 1', make: ({ ancient }) => sending(certifyClient(RIGHT, ancient)), at: ['ancient'] },
  { name: 'behind an issuing CA of a root of version 1', make: ({ ancient }) => behind(ancient), at: ['ancient'] },
  { name: 'of a root for servers', make: ({ serversOnly }) => sending(certifyClient(RIGHT, serversOnly)), at: [], because: 'USAGE_NOT_PERMITTED' },
  { name: 'of a root with path length 0', make: ({ strict }) => sending(certifyClient(RIGHT, strict)), at: ['strict'] },
  { name: 'behind an issuing CA of a root with path length 0', make: ({ strict }) => behind(strict), at: [], because: 'PATH_TOO_LONG', resumedBecause: 'ISSUER_UNKNOWN' },
  { name: 'with a host that its root does not permit', make: ({ strict }) => sending(certifyClient(RIGHT, strict, { extensions: { names: alternativeNames(dns('example.org')) } })), at: [], because: 'NAME_NOT_PERMITTED' },
  { name: 'that is itself listed, self-signed', make: ({ selfSigned }) => sending(selfSigned), at: ['listed'] },
  { name: 'of a listed client that is no CA', make: ({ selfSigned }) => sending(certifyClient('mallory', selfSigned, { commonNames: [RIGHT], organization: 'Mallory' })), at: [], because: 'ISSUER_NOT_A_CA' },
  { name: 'that is itself listed, of a root that is not', make: ({ listedLeaf }) => sending(listedLeaf), at: [], because: 'ISSUER_UNKNOWN' },
] /* prettier-ignore */ // one case a line

const meeting = (meets: readonly PoolName[], rows: readonly Row[]) => rows.map((row) => ({ ...row, meets }))

/** Each client, and the pools that it calls. */
export const rows: readonly (Row & { readonly meets: readonly PoolName[] })[] = [
  ...meeting(poolNames, [...plainRows, ...rootRows]),
  ...meeting(usualPools, [...issuingRows, ...leafRows, ...crossRows]),
]

const rowNamed = (name: string): Row => {
  const row = rows.find((candidate) => candidate.name === name)
  if (row === undefined) throw new Error(`the table has no client ${name}`)
  return row
}

/** The clients for two workers, which differ in what one worker has to learn from the other. */
export const workerRows: readonly Row[] = [
  'of A',
  'of B',
  'another tenant’s, of A',
  'without a certificate',
  'behind an issuing CA of A that is sent',
  'behind two issuing CAs of A, sent in the wrong order',
  'behind two CAs of A, the upper one with path length 0',
  'behind a CA of A for another host',
  'expired, of A',
  'of a root of version 1',
  'behind a CA of A and B, of which A says a path length; A’s certificate is sent first',
  'behind a CA of A and B, of which A says a permitted host; B’s certificate is sent first',
].map(rowNamed)
/** The pools that they call. */
export const workerPools = ['A', 'B', 'pair'] as const satisfies readonly PoolName[]

/** A client of a scenario. Each scenario makes it anew, so that no gateway knows it. */
export interface Guest {
  readonly name: string
  readonly make: (cas: Cas, validity: Pick<Wanted, 'from' | 'until'>) => Identity
}

export const guests: readonly Guest[] = [
  { name: 'of A', make: ({ rootA }, validity) => sending(certifyClient(RIGHT, rootA, validity)) },
  { name: 'behind an issuing CA of A', make: ({ rootA }, validity) => behind(rootA, { from: -60 * DAY }, validity) },
  {
    name: 'behind a CA that A, and B with a restriction, certified',
    make: ({ rootA, rootB }, validity) => {
      const free = ownCa(rootA, { from: -60 * DAY })
      const restricted = certifyCa(`issuing CA ${made}`, { by: rootB, key: free, extensions: forServers })
      return sending(certifyClient(RIGHT, free, validity), restricted, free)
    },
  },
]

/** One arrival of each guest at pool A, and its outcome. Any of several verdicts is accepted. */
export interface Step {
  /** The gateway's clock error from here on, in days. */
  readonly clock?: number
  /** The roots of pool A's only entry from here on. */
  readonly entry?: { readonly name: string; readonly ca: CaName }
  /**
   * - fresh: on a connection of its own, by a full handshake
   * - kept: on a connection of the first step
   * - idle: on another connection, which had no request before
   * - resumed: on a connection of its own, with the first step's ticket, from an unknown address
   * - returning: from one address with the ticket of the last connection, until it is accepted; one refusal is allowed
   */
  readonly by: 'fresh' | 'kept' | 'idle' | 'resumed' | 'returning'
  readonly is: string | readonly string[]
}

export interface Scenario {
  readonly name: string
  /** The validity of the guests' certificates, in days from now. */
  readonly validity: readonly [from: number, until: number]
  readonly steps: readonly Step[]
}

const expired = '401 CERTIFICATE_REFUSED CERT_HAS_EXPIRED'
const early = '401 CERTIFICATE_REFUSED CERT_NOT_YET_VALID'
const unknown = '401 CERTIFICATE_REFUSED ISSUER_UNKNOWN'
const notAllowed = '401 CLIENT_NOT_ALLOWED'

export const scenarios: readonly Scenario[] = [
  {
    name: 'the clock goes beyond the certificate’s end, and back',
    validity: [-1, 7],
    steps: [
      { by: 'fresh', is: '200' },
      { by: 'kept', is: '200' },
      { by: 'resumed', is: '200' },
      { clock: 8, by: 'kept', is: expired },
      { by: 'fresh', is: expired },
      { by: 'resumed', is: expired },
      { clock: 0, by: 'idle', is: '200' },
      { by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { by: 'returning', is: '200' },
    ],
  },
  {
    name: 'the clock goes before the certificate’s start, and back',
    validity: [-1, 7],
    steps: [
      { by: 'fresh', is: '200' },
      { clock: -2, by: 'kept', is: early },
      { by: 'fresh', is: early },
      { by: 'resumed', is: early },
      { clock: 0, by: 'idle', is: '200' },
      { by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { by: 'returning', is: '200' },
    ],
  },
  {
    name: 'the clock is before the certificate’s start at the first handshake',
    validity: [-1, 7],
    steps: [
      { clock: -2, by: 'fresh', is: early },
      { by: 'resumed', is: [early, unknown] },
      // The gateway did not learn the CA that came with the certificate, so that the first resumption may be refused.
      { clock: 0, by: 'resumed', is: ['200', unknown] },
      { by: 'returning', is: '200' },
      { by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      // A connection of the time of its refusal is no worse than a new one.
      { by: 'idle', is: '200' },
    ],
  },
  {
    name: 'the clock is beyond the certificate’s end at the first handshake',
    validity: [-1, 7],
    steps: [
      { clock: 8, by: 'fresh', is: expired },
      { clock: 0, by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { by: 'returning', is: '200' },
      { by: 'idle', is: '200' },
    ],
  },
  {
    name: 'the clock is slow, and the certificate has ended',
    validity: [-30, -8],
    steps: [
      { clock: -10, by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { clock: 0, by: 'kept', is: expired },
      { by: 'idle', is: expired },
      { by: 'fresh', is: expired },
      { by: 'resumed', is: expired },
    ],
  },
  {
    name: 'the clock is fast, and the certificate has not begun',
    validity: [8, 30],
    steps: [
      { clock: 10, by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { clock: 0, by: 'kept', is: early },
      { by: 'idle', is: early },
      { by: 'fresh', is: early },
      { by: 'resumed', is: early },
    ],
  },
  {
    name: 'the entry loses its name, and gets it again',
    validity: [-1, 7],
    steps: [
      { by: 'fresh', is: '200' },
      { by: 'kept', is: '200' },
      { entry: { name: OTHER, ca: 'rootA' }, by: 'kept', is: notAllowed },
      { by: 'fresh', is: notAllowed },
      { by: 'resumed', is: notAllowed },
      { entry: { name: RIGHT, ca: 'rootA' }, by: 'idle', is: '200' },
      { by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { by: 'returning', is: '200' },
    ],
  },
  {
    name: 'the entry loses its root, and gets it again',
    validity: [-1, 7],
    steps: [
      { by: 'fresh', is: '200' },
      { by: 'kept', is: '200' },
      {
        entry: { name: RIGHT, ca: 'rootC' },
        by: 'kept',
        is: ['closed', unknown, '401 CERTIFICATE_REFUSED USAGE_NOT_PERMITTED'],
      },
      { by: 'fresh', is: [unknown, '401 CERTIFICATE_REFUSED USAGE_NOT_PERMITTED'] },
      { by: 'resumed', is: [unknown, '401 CERTIFICATE_REFUSED USAGE_NOT_PERMITTED'] },
      // The connection was closed when the root was removed, or is accepted now.
      { entry: { name: RIGHT, ca: 'rootA' }, by: 'idle', is: ['closed', '200'] },
      { by: 'fresh', is: '200' },
      { by: 'resumed', is: '200' },
      { by: 'returning', is: '200' },
    ],
  },
  {
    name: 'the entry begins without the root',
    validity: [-1, 7],
    steps: [
      {
        entry: { name: RIGHT, ca: 'rootC' },
        by: 'fresh',
        is: [unknown, '401 CERTIFICATE_REFUSED USAGE_NOT_PERMITTED'],
      },
      { entry: { name: RIGHT, ca: 'rootA' }, by: 'resumed', is: ['200', unknown] },
      { by: 'returning', is: '200' },
      { by: 'fresh', is: '200' },
    ],
  },
]

/** The clock error of each of two gateways that share their ticket keys, in days. */
export const wrongClocks = [0, 40, -40] as const
/** Certificates that are valid by only one of these clocks: from and until, in days from now. */
export const clockLeaves = [
  { name: 'a certificate of today', validity: [-7, 7], holdsAt: 0 },
  { name: 'a certificate of 40 days hence', validity: [33, 47], holdsAt: 40 },
  { name: 'a certificate of 40 days ago', validity: [-47, -33], holdsAt: -40 },
] as const
