import { webcrypto } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Certificate } from '../../src/x509/certificate.ts'
import { PathSearch, SignatureChecks, SignatureMemory } from '../../src/x509/search.ts'
import { modernSignatures } from '../../src/x509/signature.ts'
import { certify, entity, parsed, type Entity } from '../support/certify.ts'
import { issuersOf } from './support.ts'

const MAX_SIGNATURE_CHECKS = 16

async function search(leaf: Certificate, anchors: readonly Certificate[], others: readonly Certificate[]) {
  // The event loop is held up from one signature check to the next, which is made in the thread pool.
  let longestMs = 0
  let since = performance.now()
  const pause = () => (longestMs = Math.max(longestMs, performance.now() - since))
  const memory = new SignatureMemory({
    ...modernSignatures,
    verify: async (signed, issuer) => {
      const check = modernSignatures.verify(signed, issuer)
      pause()
      const isGood = await check
      since = performance.now()
      return isGood
    },
  })
  const signatures = new SignatureChecks(memory)
  const rules = { issuers: issuersOf(anchors, others), signatures, now: Date.now() }
  const found = await new PathSearch(rules).find(leaf, 'clientAuth')
  pause()
  const verdict = 'certificates' in found ? 'found' : found.refusal
  return { found, checks: memory.made, longestMs, verdict }
}

/** A busy machine makes everything longer; the least of some times is what it takes. */
async function leastOf(rounds: number, measure: () => Promise<number>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) times.push(await measure())
  return Math.min(...times)
}

let root: Entity
let anchor: Certificate
beforeAll(async () => {
  root = await entity('root')
  anchor = parsed(await certify(root, root))
})

describe('a search', () => {
  it('finds the only path among junk with the right name, whatever stands first', async () => {
    const [issuing, client] = [await entity('issuing'), await entity('client')]
    const leaf = parsed(await certify(client, issuing, { cA: false }))
    const real = parsed(await certify(issuing, root))
    const junk = await Promise.all(
      Array.from({ length: 7 }, async () => {
        const impostor = await entity('issuing')
        return parsed(await certify(impostor, root))
      }),
    )
    for (const sent of [
      [real, ...junk],
      [...junk, real],
    ]) {
      expect(await search(leaf, [anchor], sent)).toMatchObject({ verdict: 'found' })
    }
  })

  it('goes on where the first path to a trust anchor is not allowed', async () => {
    const [issuing, client] = [await entity('issuing'), await entity('client')]
    const leaf = parsed(await certify(client, await middleOf(issuing), { cA: false }))
    const narrow = parsed(await certify(issuing, root, { pathLen: 0 }))
    const wide = parsed(await certify(issuing, root))
    const others = (first: Certificate, second: Certificate) => [parsed(middlePem), first, second]
    expect(await search(leaf, [anchor], others(narrow, wide))).toMatchObject({ verdict: 'found' })
    expect(await search(leaf, [anchor], others(wide, narrow))).toMatchObject({ verdict: 'found' })
    expect(await search(leaf, [anchor], [parsed(middlePem), narrow])).toMatchObject({ verdict: 'PATH_TOO_LONG' })
  })

  let middlePem = ''
  async function middleOf(issuing: Entity): Promise<Entity> {
    const middle = await entity('middle')
    middlePem = await certify(middle, issuing)
    return middle
  }
})

describe('a hostile graph', () => {
  it.each([2, 3, 4, 5, 6, 12])('of two CAs that certify each other %i times is left at once', async (times) => {
    const [a, b, client] = [await entity('a'), await entity('b'), await entity('client')]
    const crosses: Certificate[] = []
    for (let time = 0; time < times; time += 1) {
      crosses.push(parsed(await certify(a, b)), parsed(await certify(b, a)))
    }
    const leaf = parsed(await certify(client, a, { cA: false }))
    const { checks, verdict } = await search(leaf, [anchor], crosses)
    expect(verdict).toBe(times > 5 ? 'SEARCH_TOO_LONG' : 'ISSUER_UNKNOWN')
    expect(checks).toBeLessThanOrEqual(MAX_SIGNATURE_CHECKS)
    // With a way out, it is found.
    const way = parsed(await certify(b, root, { identifiers: true }))
    const few = crosses.slice(0, 8)
    expect(await search(leaf, [anchor], [...few, way])).toMatchObject({ verdict: 'found' })
    expect(await leastOf(10, async () => (await search(leaf, [anchor], few)).longestMs)).toBeLessThan(2)
  })

  it.each([
    ['P-256', 16],
    ['P-384', 13],
    ['P-521', 5],
  ])('of impostors with %s keys is left after %i checks, and holds nobody up', async (curve, most) => {
    const [issuing, client] = [await entity('issuing'), await entity('client')]
    const leaf = parsed(await certify(client, issuing, { cA: false }))
    const junk: Certificate[] = []
    for (let count = 0; count < 208; count += 1) {
      const impostor = await entity('issuing', curve)
      junk.push(parsed(await certify(impostor, { ...impostor, keys: junkSigner(root.keys, impostor.keys) })))
    }
    const { checks, verdict } = await search(leaf, [anchor], junk)
    // 8 ms of a core at most.
    expect([checks, verdict]).toEqual([most, 'SEARCH_TOO_LONG'])
    // A handshake shows eight of them at most.
    const shown = junk.slice(0, 8)
    expect((await search(leaf, [anchor], shown)).checks).toBe(Math.min(8, most))
    const fresh = () => junk.splice(0, 8)
    expect(await leastOf(8, async () => (await search(leaf, [anchor], fresh())).longestMs)).toBeLessThan(2)
  })

  it('of any kind is judged as a search without bounds judges it, or is given up', async () => {
    const names = ['a', 'b', 'c', 'd']
    const cas = new Map(await Promise.all(names.map(async (name) => [name, await entity(name)] as const)))
    const client = await entity('client')
    const of = (name: string) => cas.get(name) as Entity
    const edge = fc.record({
      subject: fc.constantFrom(...names),
      issuer: fc.constantFrom(...names, 'root'),
      cA: fc.boolean(),
      pathLen: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(edge, { maxLength: 8 }), fc.constantFrom(...names), async (edges, above) => {
        const leaf = parsed(await certify(client, of(above), { cA: false }))
        const crosses = await Promise.all(
          edges.map(async ({ subject, issuer, cA, pathLen }) => ({
            subject,
            issuer,
            cA,
            pathLen: cA ? (pathLen ?? Infinity) : 0,
            certificate: parsed(
              await certify(of(subject), issuer === 'root' ? root : of(issuer), {
                cA,
                ...(cA && pathLen !== undefined && { pathLen }),
              }),
            ),
          })),
        )
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

interface Cross {
  readonly subject: string
  readonly issuer: string
  readonly cA: boolean
  readonly pathLen: number
}

/** Whether a path leads from `name` to the root, tried in every way. `below` counts the CAs under it. */
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

/** Signs with a key that is not the one in the certificate. */
const junkSigner = (wrong: webcrypto.CryptoKeyPair, own: webcrypto.CryptoKeyPair): webcrypto.CryptoKeyPair => ({
  publicKey: own.publicKey,
  privateKey: wrong.privateKey,
})
