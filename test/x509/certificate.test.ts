import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts'
import { RevocationList } from '../../src/x509/crl.ts'
import { DerError } from '../../src/x509/der.ts'
import { pathFlawOf, usageFlawOf } from '../../src/x509/path.ts'
import { modernSignatures } from '../../src/x509/signature.ts'
import { certify, entity, parsed } from '../support/certify.ts'
import { derOf, makeList } from '../support/crl.ts'
import { issue } from '../support/pki.ts'

const root = await entity('root')
const client = await entity('client.contoso.example')
const NAME_CONSTRAINTS = '2.5.29.30'

const tlv = (tag: number, ...content: readonly Buffer[]) => {
  const bytes = Buffer.concat(content)
  const length = bytes.length < 128 ? [bytes.length] : [0x82, bytes.length >> 8, bytes.length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...length), bytes])
}

/** A `NameConstraints` with one form of name. */
const constraintsOf = (kind: 'permitted' | 'excluded', ...names: readonly Buffer[]) =>
  new x509.Extension(
    NAME_CONSTRAINTS,
    true,
    tlv(0x30, tlv(kind === 'permitted' ? 0xa0 : 0xa1, ...names.map((name) => tlv(0x30, name)))),
  )

const dns = (name: string) => tlv(0x82, Buffer.from(name))
const mail = (name: string) => tlv(0x81, Buffer.from(name))
const uri = (name: string) => tlv(0x86, Buffer.from(name))
const ip = (...bytes: readonly number[]) => tlv(0x87, Buffer.from(bytes))
const registered = tlv(0x88, Buffer.of(0x2a, 0x03))

/** What is wrong with a path from a client with these names to a root that constrains names. */
async function under(constraints: x509.Extension, names: x509.JsonGeneralNames = [], subject = client) {
  const anchor = parsed(await certify(root, root, { more: [constraints] }))
  const more = names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []
  const leaf = parsed(await certify(subject, root, { cA: false, more }))
  return pathFlawOf([leaf, anchor], 'clientAuth', Date.now())
}

const REFUSED = 'NAME_NOT_PERMITTED'

describe('name constraints', () => {
  const rows: readonly (readonly [string, x509.Extension, x509.JsonGeneralNames, string | undefined])[] = [
    ['a permitted domain holds the host', constraintsOf('permitted', dns('contoso.example')), [{ type: 'dns', value: 'a.contoso.example' }], undefined],
    ['a permitted domain does not hold what only ends like it', constraintsOf('permitted', dns('contoso.example')), [{ type: 'dns', value: 'notcontoso.example' }], REFUSED],
    ['a wildcard is elsewhere', constraintsOf('permitted', dns('contoso.example')), [{ type: 'dns', value: '*.fabrikam.example' }], REFUSED],
    ['one of several names is elsewhere', constraintsOf('permitted', dns('contoso.example')), [{ type: 'dns', value: 'contoso.example' }, { type: 'dns', value: 'fabrikam.example' }], REFUSED],
    ['the common name is a host name elsewhere', constraintsOf('permitted', dns('fabrikam.example')), [], REFUSED],
    ['the common name is an excluded host', constraintsOf('excluded', dns('CONTOSO.example')), [], REFUSED],
    ['another domain is excluded', constraintsOf('excluded', dns('fabrikam.example')), [{ type: 'dns', value: 'contoso.example' }], undefined],
    ['a mailbox at a permitted host', constraintsOf('permitted', mail('contoso.example')), [{ type: 'email', value: 'a@contoso.example' }], undefined],
    ['a mailbox below a permitted host', constraintsOf('permitted', mail('contoso.example')), [{ type: 'email', value: 'a@b.contoso.example' }], REFUSED],
    ['a mailbox below a permitted domain', constraintsOf('permitted', mail('.contoso.example')), [{ type: 'email', value: 'a@b.contoso.example' }], undefined],
    ['what is no mailbox, where mailboxes are excluded', constraintsOf('excluded', mail('contoso.example')), [{ type: 'email', value: 'nobody' }], REFUSED],
    ['a URI at a permitted host', constraintsOf('permitted', uri('contoso.example')), [{ type: 'url', value: 'https://u@contoso.example:8443/x' }], undefined],
    ['a URI whose user part is the permitted host', constraintsOf('permitted', uri('contoso.example')), [{ type: 'url', value: 'https://contoso.example@evil.example/' }], REFUSED],
    ['a URI without a host', constraintsOf('permitted', uri('contoso.example')), [{ type: 'url', value: 'urn:contoso.example' }], REFUSED],
    ['an address in a permitted network', constraintsOf('permitted', ip(10, 0, 0, 0, 255, 0, 0, 0)), [{ type: 'ip', value: '10.1.2.3' }], undefined],
    ['an address outside of it', constraintsOf('permitted', ip(10, 0, 0, 0, 255, 0, 0, 0)), [{ type: 'ip', value: '11.1.2.3' }], REFUSED],
    ['an address of the other version', constraintsOf('permitted', ip(10, 0, 0, 0, 255, 0, 0, 0)), [{ type: 'ip', value: '::1' }], REFUSED],
    ['a name of a form that cannot be compared, which is constrained', constraintsOf('permitted', registered), [{ type: 'id', value: '1.2.3' }], REFUSED],
    ['a constraint on a form of name that there is none of', constraintsOf('permitted', registered), [], undefined],
  ] // prettier-ignore

  it.each(rows)('%s', async (_what, constraints, names, verdict) => {
    expect(await under(constraints, names)).toBe(verdict)
  })
})

describe('a certificate', () => {
  const flawWith = async (...more: readonly x509.Extension[]) =>
    usageFlawOf(parsed(await certify(client, root, { cA: false, more })), 'clientAuth')

  it('is for clients unless it says that it is for something else', async () => {
    const { clientAuth, serverAuth } = x509.ExtendedKeyUsage
    expect(await flawWith()).toBeUndefined()
    expect(await flawWith(new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]))).toBeUndefined()
    expect(await flawWith(new x509.ExtendedKeyUsageExtension(['2.5.29.37.0']))).toBeUndefined()
    expect(await flawWith(new x509.ExtendedKeyUsageExtension([serverAuth]))).toBe('USAGE_NOT_PERMITTED')
    expect(await flawWith(new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyEncipherment))).toBe('USAGE_NOT_PERMITTED')
  })

  it('has each extension once', async () => {
    const twice = [1, 2].map((path) => new x509.Extension(`1.2.3.${path}`, false, Buffer.of(5, 0)))
    expect(parsed(await certify(client, root, { more: twice })).hasUnknownCriticalExtension).toBe(false)
    const same = [1, 2].map(() => new x509.Extension('1.2.3.4', false, Buffer.of(5, 0)))
    const pem = await certify(client, root, { more: same })
    expect(() => parsed(pem)).toThrow(DerError)
  })

  it('says the names as they are, and compares them without case and extra space', async () => {
    const [spaced, plain] = await Promise.all(['Contoso  Client', 'contoso client'].map((name) => entity(name)))
    if (spaced === undefined || plain === undefined) throw new Error('unreachable')
    const [one, other] = [parsed(await certify(spaced, root)), parsed(await certify(plain, root))]
    expect([one.subject.commonNames, one.subject.key]).toEqual([['Contoso  Client'], other.subject.key])
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
  const ec = (namedCurve: string, hash: string) => ({ name: 'ECDSA', namedCurve, hash }) // prettier-ignore

  it.each([
    ['RSA-2048, SHA-256', rsa(2048), true, true],
    ['RSA-PSS-2048, SHA-256', rsa(2048, 'SHA-256', 'RSA-PSS'), true, true],
    ['RSA-2048, SHA-1', rsa(2048, 'SHA-1'), true, false],
    ['RSA-1024, SHA-256', rsa(1024), false, true],
    ['P-256, SHA-256', ec('P-256', 'SHA-256'), true, true],
    ['P-256, SHA-1', ec('P-256', 'SHA-1'), true, false],
    ['P-384, SHA-384', ec('P-384', 'SHA-384'), true, true],
    ['P-521, SHA-512', ec('P-521', 'SHA-512'), true, true],
    ['Ed25519', { name: 'Ed25519' }, true, true],
  ] as const)('with a key and a signature of %s', async (_what, algorithm, isStrong, isVerified) => {
    const certificate: Certificate = await key(algorithm)
    expect(modernSignatures.isStrong(certificate)).toBe(isStrong)
    expect(await modernSignatures.verify(certificate, certificate)).toBe(isVerified)
    const altered = { ...certificate, publicKey: certificate.publicKey, tbs: Buffer.from(certificate.tbs) }
    altered.tbs[altered.tbs.length - 1] = (altered.tbs.at(-1) ?? 0) ^ 1
    expect(await modernSignatures.verify(altered, certificate)).toBe(false)
  })
})

describe('a certificate that was made to take long', () => {
  it.each([
    ['a name of combining marks', () => '\u0300\u0316'.repeat(3000)],
    ['a name of 15 KB', () => 'x'.repeat(15_000)],
  ])('with %s is read in no time', async (_what, name) => {
    const pem = await certify(await entity(name()), root)
    const der = derOf(pem)
    const times = Array.from({ length: 10 }, () => {
      const start = performance.now()
      parseCertificate(der)
      return performance.now() - start
    })
    expect(Math.min(...times)).toBeLessThan(2)
  })

  it('by its length, or by the parts of its name, is not read', async () => {
    const long = await certify(await entity('x'.repeat(17_000)), root)
    expect(() => parsed(long)).toThrow(DerError)
    const parts = await certify({ ...client, name: Array.from({ length: 65 }, () => 'CN=x').join(', ') }, root)
    expect(() => parsed(parts)).toThrow(DerError)
  })
})

describe('bytes that were changed', () => {
  it('are parsed or refused, and nothing else, in a certificate and in a list', async () => {
    const leaf = await issue({ commonName: 'client', usage: 'client', hosts: ['a.example', '10.0.0.1'] }, await issue({ commonName: 'ca', usage: 'authority' }))
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
        for (const [original, parse] of [[certificate, parseCertificate], [list, (der: Buffer) => new RevocationList(der).prepare()]] as const) {
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
}) // prettier-ignore
