import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts'
import { RevocationList } from '../../src/x509/crl.ts'
import { DerError, DerReader, oidOf } from '../../src/x509/der.ts'
import { nameOf } from '../../src/x509/names.ts'
import { NameChecks, NameMemory } from '../../src/x509/name-constraints.ts'
import { pathFlawOf, usageFlawOf } from '../../src/x509/path.ts'
import { modernSignatures } from '../../src/x509/signature.ts'
import {
  alternativeNames,
  basicConstraints,
  certify,
  certifyCa,
  directory,
  dns,
  extension,
  extKeyUsage,
  inhibitAnyPolicy,
  keyUsage,
  nameConstraints,
  nameWith,
  parsed,
  policies,
  policyConstraints,
  policyMapping,
  tlv,
  type Holder,
  type Wanted,
} from '../support/certify.ts'
import { derOf, makeList } from '../support/crl.ts'
import { issue } from '../support/pki.ts'

const root = certifyCa('root')
const CLIENT = 'client.contoso.example'
/** A client's certificate without further extensions. */
const leafWith = (extensions: Required<Wanted>['extensions'], name = CLIENT) =>
  certify({ commonNames: [name], by: root, extensions: { basicConstraints: basicConstraints(false), ...extensions } })

const mail = (name: string) => tlv(0x81, Buffer.from(name))
const uri = (name: string) => tlv(0x86, Buffer.from(name))
const ip = (...bytes: readonly number[]) => tlv(0x87, Buffer.from(bytes))
const registered = tlv(0x88, Buffer.of(0x2a, 0x03))

/** The faults of a path from a client with these names to a root that constrains names. */
function under(constraints: Buffer, names: readonly Buffer[] = []) {
  const anchor = parsed(certifyCa('root', { key: root, extensions: { constraints } }))
  const leaf = parsed(leafWith(names.length > 0 ? { names: alternativeNames(...names) } : {}))
  return pathFlawOf([leaf, anchor], 'clientAuth', nameChecks(), Date.now())
}

const nameChecks = () => new NameChecks(new NameMemory(async () => undefined))

const REFUSED = 'NAME_NOT_PERMITTED'

describe('a path is judged by its name constraints:', () => {
  const rows: readonly (readonly [string, Buffer, readonly Buffer[], string | undefined])[] = [
    ['a permitted domain holds the host', nameConstraints('permitted', dns('contoso.example')), [dns('a.contoso.example')], undefined],
    ['a permitted domain does not hold what only ends like it', nameConstraints('permitted', dns('contoso.example')), [dns('notcontoso.example')], REFUSED],
    ['a wildcard is elsewhere', nameConstraints('permitted', dns('contoso.example')), [dns('*.fabrikam.example')], REFUSED],
    ['one of several names is elsewhere', nameConstraints('permitted', dns('contoso.example')), [dns('contoso.example'), dns('fabrikam.example')], REFUSED],
    ['the common name is a host name elsewhere', nameConstraints('permitted', dns('fabrikam.example')), [], REFUSED],
    ['the common name is an excluded host', nameConstraints('excluded', dns('CONTOSO.example')), [], REFUSED],
    ['another domain is excluded', nameConstraints('excluded', dns('fabrikam.example')), [dns('contoso.example')], undefined],
    ['a mailbox at a permitted host', nameConstraints('permitted', mail('contoso.example')), [mail('a@contoso.example')], undefined],
    ['a mailbox below a permitted host', nameConstraints('permitted', mail('contoso.example')), [mail('a@b.contoso.example')], REFUSED],
    ['a mailbox below a permitted domain', nameConstraints('permitted', mail('.contoso.example')), [mail('a@b.contoso.example')], undefined],
    ['what is no mailbox, where mailboxes are excluded', nameConstraints('excluded', mail('contoso.example')), [mail('nobody')], REFUSED],
    ['a URI at a permitted host', nameConstraints('permitted', uri('contoso.example')), [uri('https://u@contoso.example:8443/x')], undefined],
    ['a URI whose user part is the permitted host', nameConstraints('permitted', uri('contoso.example')), [uri('https://contoso.example@evil.example/')], REFUSED],
    ['a URI without a host', nameConstraints('permitted', uri('contoso.example')), [uri('urn:contoso.example')], REFUSED],
    ['an address in a permitted network', nameConstraints('permitted', ip(10, 0, 0, 0, 255, 0, 0, 0)), [ip(10, 1, 2, 3)], undefined],
    ['an address outside of it', nameConstraints('permitted', ip(10, 0, 0, 0, 255, 0, 0, 0)), [ip(11, 1, 2, 3)], REFUSED],
    ['an address of the other version', nameConstraints('permitted', ip(10, 0, 0, 0, 255, 0, 0, 0)), [ip(...Buffer.alloc(15), 1)], REFUSED],
    ['a name of a form that cannot be compared, which is constrained', nameConstraints('permitted', registered), [registered], REFUSED],
    ['a constraint on a form of name that there is none of', nameConstraints('permitted', registered), [], undefined],
  ] /* prettier-ignore */ // one case a line

  it.each(rows)('%s', async (_what, constraints, names, verdict) => {
    expect(await under(constraints, names)).toBe(verdict)
  })
})

describe('a directory name', () => {
  const utf16 = (text: string) => Buffer.from(text, 'utf16le').swap16()
  const ucs4 = (text: string) => Buffer.concat([...text].map((letter) => Buffer.from([0, 0, ...utf16(letter)])))
  const latin = (text: string) => Buffer.from(text, 'latin1')
  const [COMMON_NAME, EMAIL] = ['2.5.4.3', '1.2.840.113549.1.9.1']

  /** The faults of a path from a client with this subject to a root that constrains names. */
  function bears(constraints: Buffer, name: Buffer) {
    const anchor = parsed(certifyCa('root', { key: root, extensions: { constraints } }))
    const leaf = { ...parsed(leafWith({})), subject: nameOf(new DerReader(name).take(0x30)) }
    return pathFlawOf([leaf, anchor], 'clientAuth', nameChecks(), Date.now())
  }

  const same: readonly (readonly [string, Buffer, string?])[] = [
    ['in another case and with more space', nameWith(' CONTOSO ')],
    ['as a TeletexString', nameWith(latin('Contoso'), 0x14)],
    ['as a VisibleString', nameWith(latin('Contoso'), 0x1a)],
    ['as a BMPString', nameWith(utf16('Contoso'), 0x1e)],
    ['as a UniversalString', nameWith(ucs4('Contoso'), 0x1c)],
    ['as a NumericString', nameWith(latin('365'), 0x12), '365'],
    ['with a soft hyphen', nameWith('Con\u00adtoso')],
    ['with a space of no width', nameWith('Con\u200btoso')],
    ['with a variation selector', nameWith('Contoso\ufe0f')],
    ['with a control character', nameWith('Con\u0001toso')],
    ['with a control character that is no ASCII', nameWith('Con\u0090toso')],
    ['with soft hyphens that make it long', nameWith(`Contoso${'\u00ad'.repeat(100)}`)],
    ['in wide letters', nameWith('\uff23ontoso')],
    ['with a line end for a space', nameWith('Con\u0085toso'), 'con toso'],
    ['with a sharp s', nameWith('Stra\u00dfe'), 'STRASSE'],
    ['with another sigma', nameWith('\u03bf\u03b4\u03bf\u03c3'), '\u039f\u0394\u039f\u03a3'],
  ]
  it.each(same.map(([how, name, base = 'Contoso']) => [how, name, base] as const))(
    'is the same %s',
    async (_how, name, base) => {
      expect(await bears(nameConstraints('excluded', directory(base)), name)).toBe(REFUSED)
      expect(await bears(nameConstraints('permitted', directory(base)), name)).toBeUndefined()
    },
  )

  const opaque: readonly (readonly [string, Buffer])[] = [
    ['of a type of string that is not read', nameWith(latin('Fabrikam'), 0x1b)],
    ['that is no UTF-8', nameWith(latin('F\u00fcr'))],
    ['that is no UniversalString', nameWith(latin('Fabri'), 0x1c)],
    ['that is no character of Unicode', nameWith(Buffer.of(0, 0x11, 0, 0), 0x1c)],
    ['that is half of a character', nameWith(Buffer.of(0xd8, 0), 0x1e)],
    ['with letters that its type leaves open', nameWith(latin('F\u00fcr'), 0x14)],
    ['with a letter of a private use', nameWith('Fabrikam\ue000')],
    ['that is too long to normalize', nameWith('\u00fc'.repeat(65))],
  ]
  it.each(opaque)('%s is excluded, and not permitted', async (_what, name) => {
    expect(await bears(nameConstraints('excluded', directory('Contoso')), name)).toBe(REFUSED)
    expect(await bears(nameConstraints('permitted', directory('Contoso')), name)).toBe(REFUSED)
    expect(await bears(nameConstraints('excluded', directory('Contoso', undefined, COMMON_NAME)), name)).toBeUndefined()
  })

  it('is recognised as different if it can be compared', async () => {
    const other = nameWith(ucs4('Fabrikam'), 0x1c)
    expect(await bears(nameConstraints('excluded', directory('Contoso')), other)).toBeUndefined()
  })

  it.each([
    ['of a type of string that is not read', nameWith('a@contoso.example', 0x1b, EMAIL)],
    ['that is no ASCII', nameWith('a@contoso\u00ad.example', 0x0c, EMAIL)],
  ])('is held to the constraints on mailboxes with its mailbox %s', async (_what, name) => {
    const constraints = nameConstraints('excluded', mail('contoso.example'))
    expect(await bears(constraints, name)).toBe(REFUSED)
  })
})

describe('a trust anchor’s policies', () => {
  const [ANY, ONE, OTHER] = ['2.5.29.32.0', '2.999.1', '2.999.2']
  type Extensions = Required<Wanted>['extensions']
  /** The faults of a path from a client through a CA to a root with these policies. */
  function below(anchor: Extensions, ca: Extensions, client: Extensions) {
    const top = certifyCa('root', { key: root, extensions: anchor })
    const middle = certifyCa('middle', { by: root, extensions: ca })
    const leaf = certify({ commonNames: [CLIENT], by: middle, extensions: client })
    return pathFlawOf([leaf, middle, top].map(parsed), 'clientAuth', nameChecks(), Date.now())
  }
  const explicit = (skipped: number) => ({ constraints: policyConstraints('requireExplicitPolicy', skipped) })
  const named = (...names: readonly string[]) => ({ policies: policies(...names) })
  const mapped = { ...named(ONE), mapping: policyMapping(ONE, OTHER) }

  it.each<readonly [what: string, verdict: string, anchor: Extensions, ca: Extensions, client: Extensions]>([
    ['require none', 'permitted', {}, {}, {}],
    ['require one, and there is none', 'POLICY_NOT_PERMITTED', explicit(0), {}, {}],
    ['require one, and there is one', 'permitted', explicit(0), named(ONE), named(ONE)],
    ['require one from the client on', 'POLICY_NOT_PERMITTED', explicit(1), {}, {}],
    ['require one later than the path ends', 'permitted', explicit(3), {}, {}],
    ['require its own', 'POLICY_NOT_PERMITTED', { ...explicit(0), ...named(ONE) }, named(OTHER), named(OTHER)],
    ['name some without a need for them', 'permitted', named(ONE), named(OTHER), named(OTHER)],
    ['require one, and any', 'permitted', explicit(0), named(ANY), named(ONE)],
    ['inhibit any', 'POLICY_NOT_PERMITTED', { ...explicit(0), any: inhibitAnyPolicy(0) }, named(ANY), named(ONE)],
    ['may be mapped', 'permitted', explicit(0), mapped, named(OTHER)],
    [
      'inhibit mapping',
      'POLICY_NOT_PERMITTED',
      { constraints: policyConstraints('inhibitPolicyMapping', 0) },
      { ...mapped, ...explicit(0) },
      named(OTHER),
    ],
  ])('%s: %s', async (_what, verdict, anchor, ca, client) => {
    expect((await below(anchor, ca, client)) ?? 'permitted').toBe(verdict)
  })
})

describe('a certificate', () => {
  const flawWith = (extensions: Required<Wanted>['extensions'] = {}) =>
    usageFlawOf(parsed(leafWith(extensions)), 'clientAuth')

  it('is for clients unless it names another purpose', () => {
    expect(flawWith()).toBeUndefined()
    expect(flawWith({ extKeyUsage: extKeyUsage('serverAuth', 'clientAuth') })).toBeUndefined()
    expect(flawWith({ extKeyUsage: extKeyUsage('any') })).toBeUndefined()
    expect(flawWith({ extKeyUsage: extKeyUsage('serverAuth') })).toBe('USAGE_NOT_PERMITTED')
    expect(flawWith({ keyUsage: keyUsage('keyEncipherment') })).toBe('USAGE_NOT_PERMITTED')
  })

  it('has each extension once', () => {
    const unknown = (type: string) => extension(type, false, Buffer.of(5, 0))
    const twice = leafWith({ one: unknown('1.2.3.1'), other: unknown('1.2.3.2') })
    expect(parsed(twice).hasUnknownCriticalExtension).toBe(false)
    const same = leafWith({ one: unknown('1.2.3.4'), other: unknown('1.2.3.4') })
    expect(() => parsed(same)).toThrow(DerError)
  })

  it('keeps names unchanged, and compares them without case and extra space', () => {
    const [spaced, plain] = [parsed(leafWith({}, 'Contoso  Client')), parsed(leafWith({}, 'contoso client'))]
    expect([spaced.subject.commonNames, spaced.subject.key]).toEqual([['Contoso  Client'], plain.subject.key])
  })

  const key = async (algorithm: object) => {
    const keys = await webcrypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=key',
      keys,
      signingAlgorithm: algorithm as webcrypto.EcdsaParams,
    })
    return parseCertificate(Buffer.from(certificate.rawData))
  }
  const rsa = (modulusLength: number, hash = 'SHA-256', name = 'RSASSA-PKCS1-v1_5') => ({
    name,
    modulusLength,
    hash,
    saltLength: 32,
    publicExponent: new Uint8Array([1, 0, 1]),
  })
  const ec = (namedCurve: string, hash: string) => ({ name: 'ECDSA', namedCurve, hash })

  it.each([
    ['RSA-2048, SHA-256', true, true, rsa(2048)],
    ['RSA-PSS-2048, SHA-256', true, true, rsa(2048, 'SHA-256', 'RSA-PSS')],
    ['RSA-2048, SHA-1', true, false, rsa(2048, 'SHA-1')],
    ['RSA-1024, SHA-256', false, true, rsa(1024)],
    ['P-256, SHA-256', true, true, ec('P-256', 'SHA-256')],
    ['P-256, SHA-1', true, false, ec('P-256', 'SHA-1')],
    ['P-384, SHA-384', true, true, ec('P-384', 'SHA-384')],
    ['P-521, SHA-512', true, true, ec('P-521', 'SHA-512')],
    ['Ed25519', true, true, { name: 'Ed25519' }],
  ] as const)(
    'of %s: its key is strong is %s, its signature counts is %s',
    async (_what, isStrong, isVerified, algorithm) => {
      const certificate: Certificate = await key(algorithm)
      expect(modernSignatures.isStrong(certificate)).toBe(isStrong)
      expect(await modernSignatures.verify(certificate, certificate)).toBe(isVerified)
      const altered = { ...certificate, publicKey: certificate.publicKey, tbs: Buffer.from(certificate.tbs) }
      altered.tbs[altered.tbs.length - 1] = (altered.tbs.at(-1) ?? 0) ^ 1
      expect(await modernSignatures.verify(altered, certificate)).toBe(false)
    },
  )
})

describe('an object identifier', () => {
  const bytesOf = (...arcs: readonly bigint[]) =>
    Buffer.from(
      arcs.flatMap((arc) => {
        const groups = [Number(arc & 0x7fn)]
        for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80)
        return groups
      }),
    )

  it.each([
    ['1.2.840.113549', bytesOf(42n, 840n, 113549n)],
    ['0.39', bytesOf(39n)],
    ['2.999.1', bytesOf(1079n, 1n)],
    // A UUID (X.667 section 6.5), and a first arc of that length.
    ['2.25.329800735698586629295641978511506172918', bytesOf(105n, 0xf81d4fae7dec11d0a76500a0c91e6bf6n)],
    ['2.329800735698586629295641978511506172838.1', bytesOf(0xf81d4fae7dec11d0a76500a0c91e6bf6n, 1n)],
  ])('may be %s', (text, bytes) => {
    expect(oidOf(bytes)).toBe(text)
  })

  it.each([
    ['is empty', Buffer.alloc(0)],
    ['is cut off', Buffer.of(0x2a, 0x86)],
    ['is not in its shortest form', Buffer.of(0x2a, 0x80, 0x01)],
    ['is longer than any real one', bytesOf(42n, 1n << 600n)],
  ])('is refused that %s', (_, bytes) => {
    expect(() => oidOf(bytes)).toThrow(DerError)
  })
})

describe('a certificate that was made to take long', () => {
  const crowd = Array.from({ length: 256 }, () => directory('\u00fc\u0300\u0316'))
  it.each<readonly [string, () => Holder]>([
    ['a name of combining marks', () => leafWith({}, '\u0300\u0316'.repeat(3000))],
    ['a name of 15 KB', () => leafWith({}, 'x'.repeat(15_000))],
    ['names that are slow to compare', () => leafWith({ names: alternativeNames(...crowd) })],
    [
      'name constraints that are slow to compare',
      () => certifyCa('x', { extensions: { names: nameConstraints('excluded', ...crowd) } }),
    ],
  ])('with %s is read in no time', (_what, make) => {
    const der = derOf(make().certificate)
    // V8 compiles the parser after some tens of calls. A gateway has compiled it.
    const times = Array.from({ length: 100 }, () => {
      const start = performance.now()
      parseCertificate(der)
      return performance.now() - start
    })
    expect(Math.min(...times)).toBeLessThan(2)
  })

  it('by its length, or by the parts of its name, is not read', () => {
    const long = leafWith({}, 'x'.repeat(17_000))
    expect(() => parsed(long)).toThrow(DerError)
    const parts = certify({ commonNames: Array<string>(65).fill('x'), by: root })
    expect(() => parsed(parts)).toThrow(DerError)
  })

  const many = (count: number, ...element: Parameters<typeof tlv>) =>
    Array.from({ length: count }, () => tlv(...element))

  it('with thousands of empty members is given up where there are more than any real one has', () => {
    const set = 0x31
    expect(() => nameOf(Buffer.concat(many(7900, set)))).toThrow(/more than 64/)
    expect(() => nameOf(tlv(set, ...many(7900, 0x30)))).toThrow(DerError)
    const holding = (extensions: Required<Wanted>['extensions']) => () => parsed(leafWith(extensions))
    expect(holding({ names: alternativeNames(...many(4000, 0x82)) })).toThrow(/more than 256/)
    expect(holding({ names: nameConstraints('excluded', ...many(300, 0x82)) })).toThrow(/more than 256/)
    const point = (count: number) =>
      extension('2.5.29.31', false, tlv(0x30, tlv(0x30, tlv(0xa0, tlv(0xa0, ...many(count, 0x86))))))
    expect(holding({ point: point(4000) })).toThrow(/more than 16/)
    expect(parsed(leafWith({ point: point(16) })).distributionPoints).toHaveLength(1)
    const unknown = Object.fromEntries(
      Array.from({ length: 65 }, (_, index) => [`x${index}`, extension(`2.999.${index}`, false, Buffer.of(5, 0))]),
    )
    expect(holding(unknown)).toThrow(/more than 64/)
  })
})

describe('certificate bytes that were changed', () => {
  it('are parsed or refused, and nothing else, in a certificate and in a list', async () => {
    const leaf = await issue(
      { commonName: 'client', usage: 'client', hosts: ['a.example', '10.0.0.1'] },
      await issue({ commonName: 'ca', usage: 'authority' }),
    )
    const ca = await issue({ commonName: 'ca', usage: 'authority' })
    const [certificate, list] = [derOf(leaf.certificate), derOf(await makeList(ca, { revoked: [leaf] }))]
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.boolean() })
    const read = async (bytes: Buffer, parse: (der: Buffer) => unknown) => {
      try {
        await parse(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(DerError)
      }
    }
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        for (const [original, parse] of [
          [certificate, parseCertificate],
          [list, (der: Buffer) => new RevocationList(der).prepare()],
        ] as const) {
          let bytes = Buffer.from(original)
          for (const { at, to, cut } of changes) {
            if (cut) bytes = bytes.subarray(0, at % (bytes.length + 1))
            else if (bytes.length > 0) bytes[at % bytes.length] = to
          }
          await read(bytes, parse)
        }
      }),
      { numRuns: Number(process.env['EKM_FUZZ_RUNS'] ?? 2000) },
    )
  })
})
