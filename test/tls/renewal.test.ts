import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { certifyCa, holderOf } from '../support/certify.ts'
import { makeList } from '../support/crl.ts'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { CLIENT_CN, issue, makeClient, makePki, type Authority, type Identity, type Pki } from '../support/pki.ts'
import { visit, type Visit } from './support/visits.ts'

/*
 * An outdated verdict refuses nobody who has another valid path by now: neither on an open connection, nor on a fresh
 * one, nor on a resumed session.
 */

const DAY_MS = 24 * 3_600_000
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS)

let pki: Pki
let rootA: Authority
let rootB: Authority
let issuing: Authority
let client: Identity
/** The issuing CA's certificates: an old one of root A, its successor, and one of root B. */
let old: string
let renewed: string
let crossed: string
/** Root B's certificate, which becomes valid in two days. */
let later: string
let fixture: TestGateway
const visits: Visit[] = []

beforeAll(async () => {
  pki = await makePki()
  rootA = await issue({ commonName: 'root A', usage: 'authority' })
  rootB = await issue({ commonName: 'root B', usage: 'authority' })
  issuing = await issue({ commonName: 'issuing CA', usage: 'authority' }, rootA)
  client = await makeClient(issuing)
  const key = holderOf(issuing)
  const by = (root: Authority, from: number, until: number) =>
    certifyCa('issuing CA', { by: holderOf(root), key, from: from * DAY_MS, until: until * DAY_MS }).certificate
  old = by(rootA, -1, 1)
  renewed = by(rootA, -1, 30)
  crossed = by(rootB, -1, 30)
  later = by(rootB, 2, 30)
})

afterEach(async () => {
  vi.useRealTimers()
  for (const { leave } of visits.splice(0)) leave()
  await fixture.stop()
})

/** @param pools for each pool the roots of its one entry, and its revocation lists */
async function start(pools: Readonly<Record<string, readonly [cas: readonly string[], lists?: readonly string[]]>>) {
  const files = Object.entries(pools).flatMap(([name, [cas, lists = []]]) => [
    [`${name}.pem`, cas.join('')],
    ...lists.map((list, index) => [`${name}-${index}.crl`, list]),
  ])
  fixture = await startTestGateway(pki, [aesKey('k')], {
    files: Object.fromEntries(files) as Record<string, string>,
    pools: Object.entries(pools).map(([name, [, lists]]) => ({
      name,
      pathPrefix: name,
      backend: 'store',
      keys: 'all',
      clients: [
        {
          subjectCommonNames: [CLIENT_CN],
          caCertificates: [`${name}.pem`],
          ...(lists && { revocation: { lists: lists.map((_, index) => `${name}-${index}.crl`) } }),
        },
      ],
    })),
  })
}

async function come(identity: Identity = client, session?: Buffer): Promise<Visit> {
  const guest = await visit({ port: fixture.port, pki, identity, session })
  visits.push(guest)
  return guest
}

/** Moves the gateway's clock. */
const passDays = (days: number) => vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * DAY_MS })

/** A client that was served at pool A and comes back two days later, in every way of arriving. */
async function servedAfterTwoDays(pool: string, identity: Identity = client) {
  const [open, idle] = [await come(identity), await come(identity)]
  expect(await open.ask('A')).toBe(200)
  const ticket = await idle.ticket()
  passDays(2)
  const statuses = [await open.ask(pool), await idle.ask(pool)]
  const resumed = await come(identity, ticket)
  expect(resumed.isResumed).toBe(true)
  statuses.push(await resumed.ask(pool), await (await come(identity)).ask(pool))
  return statuses
}

const always = [200, 200, 200, 200]
const sending = (...cas: readonly string[]): Identity => ({ ...client, certificate: client.certificate + cas.join('') })

describe('after a client’s path has expired, the gateway takes another path:', () => {
  it('through a CA that was renewed', async () => {
    await start({ A: [[rootA.certificate, old, renewed]] })
    expect(await servedAfterTwoDays('A')).toEqual(always)
  })

  it('to another root of the entry', async () => {
    await start({ A: [[rootA.certificate, rootB.certificate, old, crossed]] })
    expect(await servedAfterTwoDays('A')).toEqual(always)
  })

  it('through a CA that another client taught', async () => {
    await start({ A: [[rootA.certificate]] })
    const other = await makeClient(issuing)
    const teacher = await come({ ...other, certificate: other.certificate + renewed })
    expect(await teacher.ask('A')).toBe(200)
    expect(await servedAfterTwoDays('A', sending(old))).toEqual(always)
  })

  it('to another root with a revocation list that was replaced in time', async () => {
    const lists = await Promise.all([
      makeList(rootA, { nextUpdate: inDays(1) }),
      makeList(rootB, { nextUpdate: inDays(9) }),
      makeList(issuing, { nextUpdate: inDays(9) }),
    ])
    await start({ A: [[rootA.certificate, rootB.certificate, renewed, crossed], lists] })
    expect(await servedAfterTwoDays('A')).toEqual(always)
  })
})

describe('a path that did not exist before', () => {
  it('begins, for an entry without one', async () => {
    await start({ A: [[rootA.certificate, renewed]], B: [[rootB.certificate, later]] })
    expect(await servedAfterTwoDays('B')).toEqual(always)
  })

  it('begins, for a client that no entry trusted', async () => {
    await start({ B: [[rootB.certificate, later]] })
    const [asking, idle] = [await come(), await come()]
    await idle.ticket()
    expect(await asking.ask('B')).toBe(401)
    passDays(2)
    expect(await idle.ask('B')).toBe(200)
    expect(fixture.gateway.status().connections).toMatchObject({ allowed: 1, unverified: 0 })
  })

  it('is known after another client showed it', async () => {
    await start({ A: [[rootA.certificate, renewed]], B: [[rootB.certificate]] })
    const open = await come()
    expect([await open.ask('A'), await (await come()).ask('B')]).toEqual([200, 401])
    const ticket = await open.ticket()
    const other = await makeClient(issuing)
    const teacher = await come({ ...other, certificate: other.certificate + crossed })
    expect(await teacher.ask('B')).toBe(200)
    expect([await open.ask('B'), await (await come(client, ticket)).ask('B')]).toEqual([200, 200])
  })
})

it('the log announces the expiry of a client’s last path', async () => {
  await start({ A: [[rootA.certificate, old]] })
  expect(await servedAfterTwoDays('A')).toEqual([401, 401, 401, 401])
  expect((await fixture.logged('request')).slice(-4).map(({ detail }) => detail)).toEqual(
    Array.from({ length: 4 }, () => 'CERT_HAS_EXPIRED'),
  )
  expect(fixture.gateway.status().connections.allowed).toBe(0)
})
