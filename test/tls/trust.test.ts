import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import * as x509 from '@peculiar/x509'
import { beforeAll, describe, expect, it } from 'vitest'
import type { TrustedCas } from '../../src/tls/authority.ts'
import { Trust } from '../../src/tls/trust.ts'
import { parseCertificate } from '../../src/x509/certificate.ts'
import { RevocationList } from '../../src/x509/crl.ts'
import { Revocation } from '../../src/x509/revocation.ts'
import { derOf, makeList, type ListRequest } from '../support/crl.ts'
import { issue, makeClient, tomorrow, type Authority, type Identity } from '../support/pki.ts'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const native = ({ certificate }: Identity) => new X509Certificate(certificate)
const parse = (identity: Identity) => parseCertificate(native(identity).raw)

let rootA: Authority
let rootB: Authority
let entryA: TrustedCas
let entryB: TrustedCas
let trust: Trust

beforeAll(async () => {
  rootA = await issue({ commonName: 'root A', usage: 'authority' })
  rootB = await issue({ commonName: 'root B', usage: 'authority' })
  const [a, b] = [rootA, rootB].map((root) => ({ roots: [native(root)], intermediates: [] }))
  entryA = a as TrustedCas
  entryB = b as TrustedCas
  trust = new Trust([entryA, entryB])
})

const entriesOf = async (leaf: Identity, sent: readonly Identity[] = [], by = trust) => [
  ...(await by.judge(parse(leaf), sent.map(parse), Date.now())).paths.keys(),
]

const refusalOf = async (leaf: Identity, sent: readonly Identity[] = []) =>
  (await trust.judge(parse(leaf), sent.map(parse), Date.now())).at(Date.now()).refusal
/** A certificate that falsely names `issuer`. Only its signature gives it away, since it has no key identifier. */
async function forge(subject: string, issuer: string, ca: boolean) {
  const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])
  const forger = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer,
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + 60_000),
    publicKey: keys.publicKey,
    signingKey: forger.privateKey,
    signingAlgorithm: ECDSA,
    extensions: [new x509.BasicConstraintsExtension(ca, undefined, true)],
  })
  return { certificate: certificate.toString('pem'), key: '', issuer: { name: subject, keys } }
}

describe('the allow-list entries that trust a certificate', () => {
  it('are those whose roots signed it, directly or through a CA that came with it', async () => {
    const issuing = await issue({ commonName: 'issuing', usage: 'authority' }, rootA)
    expect(await entriesOf(await makeClient(rootA))).toEqual([entryA])
    expect(await entriesOf(await makeClient(issuing))).toEqual([])
    expect(await entriesOf(await makeClient(issuing), [issuing])).toEqual([entryA])
    // From then on the CA is known.
    expect(await entriesOf(await makeClient(issuing))).toEqual([entryA])
  })

  it('are not those whose roots it only names', async () => {
    const leaf = await forge('CN=client', 'CN=root A', false)
    expect(native(leaf).checkIssued(native(rootA))).toBe(true)
    expect(await entriesOf(leaf)).toEqual([])
    expect(await refusalOf(leaf)).toBe('SIGNATURE_INVALID')
    const issuing = await forge('CN=forged CA', 'CN=root A', true)
    expect(await entriesOf(await makeClient(issuing), [issuing])).toEqual([])
  })

  it('are not found through a certificate that is no CA', async () => {
    const client = await makeClient(rootA)
    const leaf = await makeClient(client, { commonName: 'below a client' })
    expect(native(leaf).verify(native(client).publicKey)).toBe(true)
    expect(await entriesOf(leaf, [client])).toEqual([])
    expect(await refusalOf(leaf, [client])).toBe('ISSUER_NOT_A_CA')
  })

  it('are all of them if a CA is certified by both', async () => {
    const issuing = await issue({ commonName: 'cross', usage: 'authority' }, rootA)
    const crossed = await x509.X509CertificateGenerator.create({
      subject: issuing.issuer.name,
      issuer: rootB.issuer.name,
      notBefore: new Date(Date.now() - 1000),
      notAfter: new Date(Date.now() + 60_000),
      publicKey: issuing.issuer.keys.publicKey,
      signingKey: rootB.issuer.keys.privateKey,
      signingAlgorithm: ECDSA,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    })
    const sent = [issuing, { certificate: crossed.toString('pem'), key: '' }]
    expect(await entriesOf(await makeClient(issuing), sent)).toEqual([entryA, entryB])
  })

  it('share one search if they trust the same', async () => {
    const twin = { ...entryA }
    expect(await entriesOf(await makeClient(rootA), [], new Trust([entryA, twin]))).toEqual([entryA, twin])
  })
})

describe('the influence of one allow-list entry on another', () => {
  it('is nothing: issuing CAs shown by clients of one do not fill the search of the other', async () => {
    const own = new Trust([entryB, entryA])
    const issuing = await issue({ commonName: 'issuing A', usage: 'authority' }, rootA)
    for (let count = 0; count < 24; count += 1) {
      const impostor = await issue({ commonName: 'issuing A', usage: 'authority' }, rootB)
      expect(await entriesOf(await makeClient(impostor), [impostor], own)).toEqual([entryB])
    }
    expect(await entriesOf(await makeClient(issuing), [issuing], own)).toEqual([entryA])
  })

  it('is nothing, even if many of them have roots of the same name', async () => {
    const roots = await Promise.all(Array.from({ length: 20 }, () => issue({ commonName: 'root', usage: 'authority' })))
    const entries = roots.map((root) => ({ roots: [native(root)], intermediates: [] }))
    const own = new Trust(entries)
    expect(await entriesOf(await makeClient(roots[19]), [], own)).toEqual([entries[19]])
  })

  it('is kept over a reload, and the oldest part is forgotten first', async () => {
    const before = new Trust([entryA])
    const first = await issue({ commonName: 'first', usage: 'authority' }, rootA)
    const client = await makeClient(first)
    expect(await entriesOf(client, [first], before)).toEqual([entryA])
    expect(await entriesOf(client, [], new Trust([{ ...entryA }], before))).toHaveLength(1)
    expect(await entriesOf(client, [], new Trust([entryB], before))).toHaveLength(0)
    for (let count = 0; count < 64; count += 1) {
      const issuing = await issue({ commonName: `issuing ${count}`, usage: 'authority' }, rootA)
      await entriesOf(await makeClient(issuing), [issuing], before)
    }
    expect(await entriesOf(client, [], new Trust([{ ...entryA }], before))).toHaveLength(0)
  })
})

describe('the memory of a client', () => {
  it('is its path, and no other certificate that it sent', async () => {
    const own = new Trust([entryA])
    const learned: string[] = []
    own.onLearned = ({ subject }) => learned.push(...subject.commonNames)
    const issuing = await issue({ commonName: 'issuing', usage: 'authority' }, rootA)
    const junk = await Promise.all(
      Array.from({ length: 7 }, () => issue({ commonName: 'issuing', usage: 'authority' })),
    )
    const leaf = await makeClient(issuing)
    expect(await entriesOf(leaf, [...junk, issuing], own)).toEqual([entryA])
    expect(learned).toEqual(['issuing'])
    const remembered = own.recall(native(leaf).fingerprint256, undefined, Date.now())
    expect(remembered?.paths.get(entryA)?.certificates.map(({ fingerprint }) => fingerprint)).toEqual(
      [leaf, issuing, rootA].map((identity) => parse(identity).fingerprint),
    )
  })

  it('of a stranger lets other work be done, however many entries there are', async () => {
    const roots = await Promise.all(
      Array.from({ length: 9 }, (_, index) => issue({ commonName: `root ${index}`, usage: 'authority' })),
    )
    const entries = Array.from({ length: 2 ** roots.length - 1 }, (_, chosen) => ({
      roots: roots.filter((_root, index) => (chosen + 1) & (1 << index)).map(native),
      intermediates: [],
    }))
    const many = new Trust(entries)
    const sent = await Promise.all(Array.from({ length: 8 }, () => makeClient(undefined)))
    let isJudged = false
    let turns = 0
    const counting = (async () => {
      for (; !isJudged; turns += 1) await setImmediate()
    })()
    const stranger = parse(await makeClient(await issue({ commonName: 'unknown', usage: 'authority' })))
    const came = sent.map(parse)
    // Another turn would have to begin while it is judged.
    await setImmediate()
    turns = 0
    await many.judge(stranger, came, Date.now())
    isJudged = true
    expect(turns).toBeGreaterThan(2)
    await counting
  })

  it('is not recalled when its dates do not hold, or when it sends another chain', async () => {
    const own = new Trust([entryA])
    const leaf = await makeClient(rootA)
    await entriesOf(leaf, [], own)
    const { fingerprint256: fingerprint } = native(leaf)
    expect(own.recall(fingerprint, '', Date.now())).toBeDefined()
    expect(own.recall(fingerprint, 'another', Date.now())).toBeUndefined()
    expect(own.recall(fingerprint, '', Date.now() + 1e10)).toBeUndefined()
    expect(own.recall(fingerprint, '', Date.now() - 1e10)).toBeUndefined()
  })

  it('is empty if no entry trusts it', async () => {
    const own = new Trust([entryA])
    const leaf = await makeClient(rootB)
    await entriesOf(leaf, [], own)
    expect(own.recall(native(leaf).fingerprint256, undefined, Date.now())).toBeUndefined()
  })
})

describe('a verdict that is made anew', () => {
  it('is made once, however many ask, and no search is repeated until something changes', async () => {
    const own = new Trust([entryA, entryB])
    const leaf = parse(await makeClient(rootA))
    const now = Date.now()
    const verdict = await own.judge(leaf, [], now)
    expect(verdict.isCurrent(now)).toBe(true)
    const teach = async (commonName: string) => {
      const issuing = parse(await issue({ commonName, usage: 'authority' }, rootB))
      expect(own.learn(issuing, parse(rootB).fingerprint)).toBe(true)
      return issuing
    }
    // This certificate cannot be above the leaf.
    await teach('issuing')
    expect(verdict.isCurrent(now)).toBe(true)
    const issuing = await teach('root A')
    expect(verdict.isCurrent(now)).toBe(false)
    const [first, ...others] = await Promise.all(Array.from({ length: 20 }, () => own.renew(verdict, now)))
    expect(new Set(others)).toEqual(new Set([first]))
    expect(await own.renew(verdict, now)).toBe(first)
    expect(first?.isCurrent(now)).toBe(true)
    // Its path was found before, and is valid.
    expect(first?.costMs).toBeLessThanOrEqual(verdict.costMs)
    expect(first?.paths.get(entryA)).toBe(verdict.paths.get(entryA))
    // A known certificate changes nothing.
    expect(own.learn(issuing, parse(rootB).fingerprint)).toBe(false)
    expect(first?.isCurrent(now)).toBe(true)
  })

  it('of a stranger is made again when a certificate begins or ends, and not before', async () => {
    const own = new Trust([entryA])
    const leaf = parse(await makeClient(rootB, { notAfter: tomorrow() }))
    const now = Date.now()
    const { notAfter } = leaf
    const verdict = await own.judge(leaf, [], now)
    expect([now, notAfter, notAfter + 1].map((at) => verdict.isCurrent(at))).toEqual([true, true, false])
    const ended = await own.renew(verdict, notAfter + 1)
    expect([ended.at(now).refusal, ended.isCurrent(notAfter + 1), ended.isCurrent(now)]).toEqual([
      'CERT_HAS_EXPIRED',
      true,
      false,
    ])
  })
})

describe('a remembered verdict that rests on revocation lists', () => {
  it('is made anew after a client has taught a CA that can sign one of them, and not for its own lesson', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(() => issue({ commonName: 'issuing', usage: 'authority' }, rootA)),
    )
    const unrelated = await issue({ commonName: 'unrelated', usage: 'authority' }, rootA)
    const leaf = await makeClient(first)
    const texts = [
      await makeList(rootA),
      await makeList(first as Authority),
      await makeList(second as Authority, { revoked: [leaf] }),
    ]
    const lists = texts.map((text) => new RevocationList(derOf(text)))
    const own = new Trust([{ ...entryA, revocation: new Revocation(lists, 'refuse') }])
    await own.prepare()
    const now = Date.now()
    const verdict = await own.judge(parse(leaf), [parse(first as Authority)], now)
    const teach = (ca: Identity) => own.learn(parse(ca), parse(rootA).fingerprint)
    expect([verdict.at(now).entries.size, verdict.isCurrent(now)]).toEqual([1, true])
    expect([teach(unrelated), verdict.isCurrent(now)]).toEqual([true, true])
    expect([teach(second as Authority), verdict.isCurrent(now)]).toEqual([true, false])
    expect((await own.renew(verdict, now)).at(now).refusal).toBe('CERT_REVOKED')
    expect(own.recall(native(leaf).fingerprint256, undefined, now)).toBeUndefined()
  })

  const NOW = Date.now()
  const HOUR_MS = 3_600_000
  const hours = (count: number) => new Date(NOW + count * HOUR_MS)
  let leaf: Identity
  let issuing: Authority
  /** CAs of the same name with separate keys: one is valid for an hour, the other from then on. */
  let listSigner: Authority
  let lateSigner: Authority
  beforeAll(async () => {
    const request = { commonName: 'issuing', usage: 'authority' } as const
    issuing = await issue(request, rootA)
    listSigner = await issue({ ...request, notAfter: hours(1) }, rootA)
    lateSigner = await issue({ ...request, notBefore: hours(1) }, rootA)
    leaf = await makeClient(issuing)
  })
  const week = { nextUpdate: hours(168) }

  type Lists = readonly (readonly [() => Authority, () => ListRequest])[]
  const rows: readonly (readonly [string, Lists, number])[] = [
    [
      'the list that takes back what another says',
      [
        [() => issuing, () => ({ ...week, number: 1, revoked: [leaf], thisUpdate: hours(-4) })],
        [() => issuing, () => ({ number: 2, nextUpdate: hours(1) })],
        [() => issuing, () => ({ ...week, number: 1, thisUpdate: hours(-3) })],
      ],
      2,
    ],
    [
      'a delta list that takes it back',
      [
        [() => issuing, () => ({ ...week, number: 1, revoked: [leaf] })],
        [() => issuing, () => ({ number: 2, base: 1, removed: [leaf], nextUpdate: hours(1) })],
      ],
      2,
    ],
    ['the certificate of the signer of a list', [[() => listSigner, () => week]], 2],
    ['the list that tells', [[() => issuing, () => ({ nextUpdate: hours(1) })]], 2],
    [
      'the list that tells, when the clock goes back',
      [[() => issuing, () => ({ ...week, thisUpdate: hours(-1 / 4) })]],
      -1 / 2,
    ],
    [
      'the list that takes it back, when the clock goes back',
      [
        [() => issuing, () => ({ ...week, number: 1, revoked: [leaf], thisUpdate: hours(-4) })],
        [() => issuing, () => ({ ...week, number: 2, thisUpdate: hours(-1 / 4) })],
        [() => issuing, () => ({ ...week, number: 1, thisUpdate: hours(-3) })],
      ],
      -1 / 2,
    ],
    [
      'a list whose signer may not speak yet',
      [
        [() => issuing, () => ({ ...week, number: 1 })],
        [() => lateSigner, () => ({ ...week, number: 3, revoked: [leaf] })],
      ],
      2,
    ],
  ]

  it.each(rows.flatMap((row) => (['refuse', 'warn'] as const).map((mode) => [...row, mode] as const)))(
    'is judged again as if no client had come before: %s, %#',
    async (_what, lists, later, whenStale) => {
      const made = await Promise.all(lists.map(([by, request]) => makeList(by(), request())))
      const all = [await makeList(rootA, { ...week, thisUpdate: hours(-300) }), ...made]
      const fresh = async () => {
        const parsed = all.map((list) => new RevocationList(derOf(list)))
        const known = [issuing, listSigner, lateSigner].map(native)
        const own = new Trust([{ ...entryA, intermediates: known, revocation: new Revocation(parsed, whenStale) }])
        await own.prepare()
        return own
      }
      const own = await fresh()
      const at = hours(later).getTime()
      const before = await own.judge(parse(leaf), [], NOW)
      expect(before.at(NOW).entries.size).toBe(1)
      expect(before.isCurrent(NOW)).toBe(true)
      const told = await (await fresh()).judge(parse(leaf), [], at)
      expect(before.isCurrent(at)).toBe(false)
      const renewed = (await own.renew(before, at)).at(at)
      expect([renewed.entries.size, renewed.refusal]).toEqual([told.at(at).entries.size, told.at(at).refusal])
    },
  )
})
