import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Turns } from '../../src/base/turns.ts'
import { TURN_MS } from '../../src/tls/trust.ts'
import type { Certificate } from '../../src/x509/certificate.ts'
import { PathSearch, ClientChecks, SearchChecks } from '../../src/x509/search.ts'
import { modernSignatures } from '../../src/x509/signature.ts'
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  certify,
  certifyCa,
  directory,
  dns,
  nameConstraints,
  parsed,
  policyConstraints,
  subjectKeyId,
  tlv,
  type Holder,
  type KeyKind,
} from '../support/certify.ts'
import { issuersOf } from './support.ts'

const MAX_SIGNATURE_CHECKS = 16

async function search(leaf: Certificate, anchors: readonly Certificate[], others: readonly Certificate[]) {
  // The event loop is held up between two turns, and between signature checks, which run in the thread pool.
  let longestMs = 0
  let since = performance.now()
  const away = async <Result>(wait: () => Promise<Result>): Promise<Result> => {
    const waiting = wait()
    longestMs = Math.max(longestMs, performance.now() - since)
    const result = await waiting
    since = performance.now()
    return result
  }
  const turns = new Turns(TURN_MS)
  const memory = new ClientChecks(
    { ...modernSignatures, verify: (signed, issuer) => away(() => modernSignatures.verify(signed, issuer)) },
    async () => (turns.isOver ? away(() => turns.next()) : undefined),
  )
  const checks = new SearchChecks(memory)
  const rules = { issuers: issuersOf(anchors, others), checks, now: Date.now() }
  const found = await new PathSearch(rules).find(leaf, 'clientAuth')
  longestMs = Math.max(longestMs, performance.now() - since)
  const verdict = 'certificates' in found ? 'found' : found.refusal
  return { found, checks: memory.made, longestMs, verdict }
}

/** A busy machine makes everything slower. The shortest of some times is the real one. */
async function leastOf(rounds: number, measure: () => Promise<number>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) times.push(await measure())
  return Math.min(...times)
}

const root = certifyCa('root')
const anchor = parsed(root)

/** The statements of `issuer` about a CA. */
const crossed = (name: string, key: Holder, by: Holder, pathLen?: number): Certificate =>
  parsed(certifyCa(name, { key, by, extensions: { basicConstraints: basicConstraints(true, pathLen) } }))

const clientOf = (by: Holder): Certificate =>
  parsed(certify({ commonNames: ['client'], by, extensions: { basicConstraints: basicConstraints(false) } }))

describe('a path search', () => {
  it('finds the only path among useless certificates with the right name, in any order', async () => {
    const issuing = certifyCa('issuing', { by: root })
    const leaf = clientOf(issuing)
    const junk = Array.from({ length: 7 }, () => parsed(certifyCa('issuing', { by: root })))
    for (const sent of [
      [parsed(issuing), ...junk],
      [...junk, parsed(issuing)],
    ]) {
      expect(await search(leaf, [anchor], sent)).toMatchObject({ verdict: 'found' })
    }
  })

  it('continues if the first path to a trust anchor is not allowed', async () => {
    const issuing = certifyCa('issuing', { by: root })
    const middle = certifyCa('middle', { by: issuing })
    const leaf = clientOf(middle)
    const narrow = crossed('issuing', issuing, root, 0)
    const wide = parsed(issuing)
    expect(await search(leaf, [anchor], [parsed(middle), narrow, wide])).toMatchObject({ verdict: 'found' })
    expect(await search(leaf, [anchor], [parsed(middle), wide, narrow])).toMatchObject({ verdict: 'found' })
    expect(await search(leaf, [anchor], [parsed(middle), narrow])).toMatchObject({ verdict: 'PATH_TOO_LONG' })
  })
})

describe('a hostile graph of certificates', () => {
  it.each([2, 3, 4, 5, 6, 12])('of two CAs that certify each other %i times is left at once', async (times) => {
    const [a, b] = [certifyCa('a'), certifyCa('b')]
    const crosses: Certificate[] = []
    for (let time = 0; time < times; time += 1) crosses.push(crossed('a', a, b), crossed('b', b, a))
    const leaf = clientOf(a)
    const { checks, verdict } = await search(leaf, [anchor], crosses)
    expect(verdict).toBe(times > 5 ? 'SEARCH_TOO_LONG' : 'ISSUER_UNKNOWN')
    expect(checks).toBeLessThanOrEqual(MAX_SIGNATURE_CHECKS)
    // If there is a valid path, the search finds it.
    const identifiers = { subjectKeyId: subjectKeyId(b), authorityKeyId: authorityKeyId(root) }
    const way = parsed(certifyCa('b', { key: b, by: root, extensions: identifiers }))
    const few = crosses.slice(0, 8)
    expect(await search(leaf, [anchor], [...few, way])).toMatchObject({ verdict: 'found' })
    expect(await leastOf(10, async () => (await search(leaf, [anchor], few)).longestMs)).toBeLessThan(2)
  })

  it.each<readonly [KeyKind, number]>([
    ['P-256', 16],
    ['P-384', 13],
    ['P-521', 5],
  ])('of impostors with %s keys is left after %i checks, and holds nobody up', async (curve, most) => {
    const leaf = clientOf(certifyCa('issuing'))
    const junk = Array.from({ length: 208 }, () => parsed(certifyCa('issuing', { key: curve, signedBy: root })))
    const { checks, verdict } = await search(leaf, [anchor], junk)
    // The limit is 8 ms of a core.
    expect([checks, verdict]).toEqual([most, 'SEARCH_TOO_LONG'])
    // A handshake shows at most eight certificates.
    const shown = junk.slice(0, 8)
    expect((await search(leaf, [anchor], shown)).checks).toBe(Math.min(8, most))
    const fresh = () => junk.splice(0, 8)
    expect(await leastOf(8, async () => (await search(leaf, [anchor], fresh())).longestMs)).toBeLessThan(2)
  })

  const LEVELS = 4
  const MANY = 250
  const hosts = (suffix: string) => Array.from({ length: MANY }, (_, index) => dns(`${index}.${suffix}`))

  /** Two certificates for each CA, so that 16 paths lead to the root, and each CA excludes many names. */
  function constrained(topmost: Readonly<Record<string, Buffer>> = {}) {
    let by = root
    const cas: Holder[] = []
    for (let level = 0; level < LEVELS; level += 1) {
      const extensions = {
        nameConstraints: nameConstraints('excluded', ...hosts('excluded')),
        ...(level === 0 && topmost),
      }
      const one: Holder = certifyCa(`level ${level}`, { by, extensions })
      cas.push(one, certifyCa(`level ${level}`, { by, key: one, extensions }))
      by = one
    }
    return { by, cas: cas.reverse().map(parsed) }
  }

  const named = (by: Holder, names: readonly Buffer[]) =>
    parsed(certify({ commonNames: ['client'], by, extensions: { names: alternativeNames(...names) } }))

  it.each([
    ['few', 4, 'found', 'NAME_NOT_PERMITTED'],
    ['many', MANY, 'SEARCH_TOO_LONG', 'SEARCH_TOO_LONG'],
  ])('that constrain names, above a certificate with %s of them, holds nobody up', async (_, count, good, bad) => {
    const { by, cas } = constrained()
    const leaf = named(by, hosts('allowed').slice(0, count))
    expect(await search(leaf, [anchor], cas)).toMatchObject({ verdict: good })
    const last = named(by, [...hosts('allowed').slice(0, count - 1), dns('7.excluded')])
    expect(await search(last, [anchor], cas)).toMatchObject({ verdict: bad })
    // None of the 16 paths is allowed.
    const { by: issuer, cas: others } = constrained({ policies: policyConstraints('requireExplicitPolicy', 0) })
    const refused = named(issuer, hosts('allowed').slice(0, count))
    expect(await leastOf(8, async () => (await search(refused, [anchor], others)).longestMs)).toBeLessThan(2)
  })

  it.each<readonly [string, (index: number) => Buffer, (index: number) => Buffer, levels: number, names: number]>([
    ['networks', (index) => network(index), (index) => tlv(0x87, addressOf(1000 + index)), 1, 77],
    ['names that are slow to prepare', slowName, (index) => directory(`other ${index}`), 3, 24],
  ])('that exclude %s hold nobody up', async (_what, subtree, name, levels, count) => {
    const subtrees = Array.from({ length: 256 }, (_, index) => subtree(index))
    const chain = [root]
    for (let level = 0; level < levels; level += 1) {
      const extensions = { nameConstraints: nameConstraints('excluded', ...subtrees) }
      chain.push(certifyCa(`level ${level}`, { by: chain.at(-1) as Holder, extensions }))
    }
    const names = Array.from({ length: count }, (_, index) => name(index))
    const fresh = async () =>
      await search(named(chain.at(-1) as Holder, names), [anchor], chain.slice(1).toReversed().map(parsed))
    expect(await fresh()).toMatchObject({ verdict: 'found' })
    expect(await leastOf(20, async () => (await fresh()).longestMs)).toBeLessThan(2)
  })

  it('of any kind gets the verdict of a search without bounds, or is given up', async () => {
    const names = ['a', 'b', 'c', 'd']
    const cas = new Map(names.map((name) => [name, certifyCa(name)]))
    const of = (name: string) => cas.get(name) ?? root
    const edge = fc.record({
      subject: fc.constantFrom(...names),
      issuer: fc.constantFrom(...names, 'root'),
      cA: fc.boolean(),
      pathLen: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(edge, { maxLength: 8 }), fc.constantFrom(...names), async (edges, above) => {
        const leaf = clientOf(of(above))
        const crosses = edges.map(({ subject, issuer, cA, pathLen }) => ({
          subject,
          issuer,
          cA,
          pathLen: cA ? (pathLen ?? Infinity) : 0,
          certificate: parsed(
            certifyCa(subject, {
              key: of(subject),
              by: of(issuer),
              extensions: { basicConstraints: basicConstraints(cA, cA ? pathLen : undefined) },
            }),
          ),
        }))
        const { verdict, checks } = await search(
          leaf,
          [anchor],
          crosses.map(({ certificate }) => certificate),
        )
        expect(checks).toBeLessThanOrEqual(MAX_SIGNATURE_CHECKS)
        if (verdict !== 'SEARCH_TOO_LONG') expect(verdict === 'found').toBe(leads(crosses, above, 0, []))
      }),
      { numRuns: Number(process.env['EKM_FUZZ_RUNS'] ?? 200) },
    )
  })
})

/** An IPv6 address that differs from others in its last bytes. */
function addressOf(index: number): Buffer {
  const address = Buffer.from('20010db8000000000000000000000000', 'hex')
  address.writeUInt16BE(index, 14)
  return address
}

const network = (index: number): Buffer => tlv(0x87, addressOf(index), Buffer.alloc(16, 0xff))
/** Its text has to be normalized. */
const slowName = (index: number): Buffer => directory(`\u00fc\u0300\u0316${index}`)

interface Cross {
  readonly subject: string
  readonly issuer: string
  readonly cA: boolean
  readonly pathLen: number
}

/** Whether a path leads from `name` to the root, by exhaustive search. `below` counts the CAs under it. */
function leads(crosses: readonly Cross[], name: string, below: number, passed: readonly string[]): boolean {
  return crosses.some(
    ({ subject, issuer, cA, pathLen }) =>
      subject === name &&
      cA &&
      !passed.includes(name) &&
      pathLen >= below &&
      (issuer === 'root' || leads(crosses, issuer, below + 1, [...passed, name])),
  )
}
