import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { childrenOf } from '../bench/process-tree.ts'
import { until } from '../commands/cli.ts'
import { lessonsAreKnown, startServing, type Serving } from '../commands/serving.ts'
import { certifyCa, certifyClient, sending, type Holder } from '../support/certify.ts'
import { aesKey, editConfig, startTestGateway, type Settings, type TestGateway } from '../support/gateway.ts'
import { newAddress } from '../support/https.ts'
import { issue, makeClient, makePki, type Identity, type Pki } from '../support/pki.ts'
import { makeWorkspace } from '../support/workspace.ts'
import {
  clockLeaves,
  guests,
  makeCas,
  poolNames,
  pools,
  RIGHT,
  rows,
  scenarios,
  workerPools,
  workerRows,
  wrongClocks,
  type CaName,
  type Cas,
  type Guest,
  type PoolName,
  type Row,
  type Step,
} from './support/identities.ts'
import { visit, type Visit } from './support/visits.ts'

/*
 * Who is let in where: every client of the table in test/tls/support/identities.ts, over real connections, in every way
 * of arriving. A failing line of a list names the row.
 */

const DAY_MS = 24 * 3_600_000

/** The ways in which a client can arrive at a pool. */
const ways = ['fresh', 'resumed', 'resumed, after another pool'] as const
type Way = (typeof ways)[number]

let pki: Pki
let cas: Cas

beforeAll(async () => {
  pki = await makePki()
  cas = makeCas()
})

const key = aesKey('k')

function settingsOf(names: readonly PoolName[] = poolNames): Settings {
  return {
    pools: names.map((name) => ({
      name,
      pathPrefix: name,
      backend: 'store',
      keys: 'all',
      clients: pools[name].map(({ names, cas }) => ({
        subjectCommonNames: [...names],
        caCertificates: cas.map((ca) => `${ca}.pem`),
      })),
    })),
    files: Object.fromEntries((Object.keys(cas) as CaName[]).map((name) => [`${name}.pem`, cas[name].certificate])),
  }
}

/** The outcome of one row, in the form of the comparison. */
interface Outcome {
  readonly label: string
  readonly status: number | 'closed'
  readonly isResumed: boolean
  readonly address: string
}

/** For each row: how the client arrived and which status it got. For a refusal also the reason in the audit record. */
function tell(outcomes: readonly Outcome[], records: readonly Record<string, unknown>[]) {
  const byAddress = new Map(records.map((record) => [record['remote_address'], record]))
  return outcomes.map(({ label, status, isResumed, address }) => {
    const { reason, detail, tls_resumed: resumed } = byAddress.get(address) ?? {}
    const why = status === 401 ? [reason, detail].filter((word) => typeof word === 'string') : []
    const said = [isResumed ? 'resumed' : 'full', String(status), ...why].join(' ')
    return `${label}: ${said}${status === 'closed' || resumed === isResumed ? '' : ', and the audit says otherwise'}`
  })
}

/** The ways in which a client can arrive at a pool. "After another pool" needs another pool that accepts the client. */
const waysOf = ({ at }: Row, pool: PoolName): readonly Way[] =>
  ways.filter((way) => !way.includes('after') || otherPool(at, pool) !== undefined)

const otherPool = (at: readonly PoolName[], pool: PoolName) => at.find((name) => name !== pool)

function expectedOf(row: Row, meets: readonly PoolName[]): string[] {
  return meets.flatMap((pool) =>
    waysOf(row, pool).map((way) => {
      const isResumed = way.startsWith('resumed')
      const because = (isResumed ? row.resumedBecause : undefined) ?? row.because
      const there = row.refusedAt?.[pool]
      const notAllowed = ['401 CLIENT_NOT_ALLOWED', ...(there === undefined ? [] : [there])].join(' ')
      const refused = because === undefined ? notAllowed : `401 CERTIFICATE_REFUSED ${because}`
      return `${pool}, ${way}: ${isResumed ? 'resumed' : 'full'} ${row.at.includes(pool) ? 200 : refused}`
    }),
  )
}

async function outcomesOf(row: Row, meets: readonly PoolName[], port: number): Promise<Outcome[]> {
  const identity = row.make(cas)
  const outcomes: Outcome[] = []
  let ticket: Buffer | undefined
  const arrive = async (way: Way, pool: PoolName) => {
    const session = way.startsWith('resumed') ? ticket : undefined
    const connection = await visit({ port, pki, identity, session })
    const before = way.includes('after') ? otherPool(row.at, pool) : undefined
    if (before !== undefined) await connection.ask(before)
    const status = await connection.ask(pool)
    if (ticket === undefined) ticket = await connection.ticket()
    connection.leave()
    const { isResumed, address } = connection
    outcomes.push({ label: `${pool}, ${way}`, status, isResumed, address })
  }
  for (const pool of meets) for (const way of waysOf(row, pool)) await arrive(way, pool)
  return outcomes
}

/** Rows for `it.each`: Vitest cuts a long name short unless it is an argument of its own. */
const named = <T extends { readonly name: string }>(list: readonly T[]) => list.map((row) => [row.name, row] as const)

const countRows = (table: readonly (readonly [row: Row, meets: readonly PoolName[]])[]) =>
  table.reduce((sum, [row, meets]) => sum + expectedOf(row, meets).length, 0)

it('the table of client identities is large', () => {
  expect(countRows(rows.map((row) => [row, row.meets]))).toBeGreaterThan(1500)
  expect(countRows(workerRows.map((row) => [row, workerPools]))).toBeGreaterThan(70)
  expect(scenarios.reduce((sum, { steps }) => sum + steps.length * guests.length, 0)).toBeGreaterThan(150)
  for (const names of [rows, scenarios, workerRows].map((list) => list.map(({ name }) => name))) {
    expect(new Set(names).size).toBe(names.length)
  }
})

describe('each pool takes its own clients, and no other:', () => {
  let fixture: TestGateway
  beforeAll(async () => {
    fixture = await startTestGateway(pki, [key], settingsOf())
  })
  afterAll(() => fixture.stop())

  it.concurrent.each(named(rows))('%s', async (_name, row) => {
    const outcomes = await outcomesOf(row, row.meets, fixture.port)
    expect(tell(outcomes, await fixture.logged('request'))).toEqual(expectedOf(row, row.meets))
  })
})

describe('each pool takes its own clients with two workers, too:', () => {
  let serving: Serving
  beforeAll(async () => {
    serving = await startServing(pki, [key], {
      ...settingsOf([...workerPools, 'ancient']),
      workers: 2,
      admin: { port: 0 },
    })
  })
  afterAll(() => serving.remove())

  /** The number of a process's sockets. */
  const socketsOf = (pid: number) =>
    readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
      } catch {
        return false
      }
    }).length

  /** Opens connections of a client, each from an address of its own, until each worker has one. */
  async function meetBoth(identity: Identity | undefined, session: Buffer | undefined): Promise<Visit[]> {
    const workers = childrenOf(serving.cli.process.pid ?? 0)
    const before = workers.map(socketsOf)
    const met: Visit[] = []
    while (
      met.length < 40 &&
      (met.length < 2 || !workers.every((pid, index) => socketsOf(pid) > (before[index] ?? 0)))
    ) {
      met.push(await visit({ port: serving.port, pki, identity, session }))
    }
    expect(workers).toHaveLength(2)
    expect(met.length).toBeLessThan(40)
    return met
  }

  // These run in sequence because sockets are counted.
  it.each(named(workerRows))('%s', async (_name, row) => {
    const identity = row.make(cas)
    const first = await visit({ port: serving.port, pki, identity })
    await first.ask('A')
    const ticket = await first.ticket()
    first.leave()
    await lessonsAreKnown(serving)
    const outcomes: Outcome[] = []
    const expected: string[] = []
    const answers = new Map(expectedOf(row, workerPools).map((line) => [line.split(': ')[0], line]))
    for (const pool of workerPools) {
      for (const way of ['fresh', 'resumed'] as const) {
        const label = `${pool}, ${way}`
        const met = await meetBoth(identity, way === 'resumed' ? ticket : undefined)
        for (const connection of met) {
          const { address, isResumed } = connection
          outcomes.push({ label, status: await connection.ask(pool), isResumed, address })
          expected.push(answers.get(label) ?? '')
        }
        for (const connection of met) connection.leave()
        await setTimeout(10)
      }
    }
    const addresses = new Set<unknown>(outcomes.map(({ address }) => address))
    const records = await until('an audit record of each request', () => {
      const found = serving.logged('request').filter((record) => addresses.has(record['remote_address']))
      return found.length === outcomes.length && found
    })
    expect(tell(outcomes, records)).toEqual(expected)
  })
})

/** A client's state between the steps of a scenario. */
interface Stay {
  readonly name: string
  readonly identity: Identity
  /** The connection that is used all the time, and the one that is not used yet. */
  readonly kept: Visit[]
  /** The ticket of the first step. */
  ticket: Buffer | undefined
  /** The ticket of the last connection, for a returning client. */
  latest: Buffer | undefined
  readonly home: string
}

const newStay = ({ name, make }: Guest, from: number, until: number): Stay => ({
  name,
  identity: make(cas, { from, until }),
  kept: [],
  ticket: undefined,
  latest: undefined,
  home: newAddress(),
})

describe('each pool takes its own clients while time passes and entries change:', () => {
  let fixture: TestGateway
  beforeAll(async () => {
    fixture = await startTestGateway(pki, [key], settingsOf(['A', 'B']))
  })
  afterEach(() => vi.useRealTimers())
  afterAll(() => fixture.stop())

  async function setEntry({ name, ca }: NonNullable<Step['entry']>): Promise<void> {
    const file = await editConfig<{ pools: { name: string; clients: object[] }[] }>(fixture.workspace, (yaml) => {
      const pool = yaml.pools.find((candidate) => candidate.name === 'A')
      if (pool) pool.clients = [{ subjectCommonNames: [name], caCertificates: [`${ca}.pem`] }]
    })
    const prepared = await fixture.gateway.prepare(loadConfig(file, {}))
    prepared.commit()
  }

  const come = ({ identity }: Stay, session?: Buffer, address?: string) =>
    visit({ port: fixture.port, pki, identity, session, ...(address !== undefined && { address }) })

  /** The number of connections until the client is accepted again. It resumes where it can. */
  async function comeBack(stay: Stay): Promise<Pick<Outcome, 'status' | 'isResumed' | 'address'>> {
    for (let refusals = 0; ; refusals += 1) {
      const connection = await come(stay, stay.latest, stay.home)
      const status = await connection.ask('A')
      stay.latest = (await connection.ticket()) ?? stay.latest
      connection.leave()
      if (status === 200 || refusals === 1) return { ...connection, status }
    }
  }

  async function arrive(stay: Stay, by: Step['by'], isFirst: boolean) {
    if (by === 'returning') return comeBack(stay)
    const isOld = by === 'kept' || by === 'idle'
    const connection = isOld
      ? stay.kept[by === 'kept' ? 0 : 1]
      : await come(stay, by === 'resumed' ? stay.ticket : undefined)
    if (connection === undefined) throw new Error('the first step opens the connections')
    const outcome = { status: await connection.ask('A'), isResumed: connection.isResumed, address: connection.address }
    if (isFirst) {
      stay.ticket = stay.latest = await connection.ticket()
      stay.kept.push(await come(stay), await come(stay))
      // The client finishes its handshake before the gateway does. The ticket arrives when both have.
      for (const open of stay.kept) await open.ticket()
    }
    if (!isOld) connection.leave()
    return outcome
  }

  it.each(named(scenarios))('%s', async (_name, { validity, steps }) => {
    const [from, until] = validity
    const stays = guests.map((guest) => newStay(guest, from * DAY_MS, until * DAY_MS))
    const outcomes: Outcome[] = []
    for (const [index, { clock, entry, by }] of steps.entries()) {
      if (entry !== undefined) await setEntry(entry)
      if (clock !== undefined) {
        vi.useRealTimers()
        vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + clock * DAY_MS })
      }
      for (const stay of stays) {
        outcomes.push({ label: `${index + 1} ${stay.name}, ${by}`, ...(await arrive(stay, by, index === 0)) })
      }
    }
    vi.useRealTimers()
    for (const { kept } of stays) for (const connection of kept) connection.leave()
    const told = tell(outcomes, await fixture.logged('request'))
    const wanted = steps.flatMap(({ by, is }, index) =>
      guests.map(({ name }, place) => {
        const line = told[index * guests.length + place] ?? ''
        const hows = by === 'resumed' ? ['resumed'] : by === 'returning' ? ['full', 'resumed'] : ['full']
        const lines = hows.flatMap((how) =>
          [is].flat().map((verdict) => `${index + 1} ${name}, ${by}: ${how} ${verdict}`),
        )
        return lines.includes(line) ? line : lines.join(' or ')
      }),
    )
    expect(told).toEqual(wanted)
  })

  it.concurrent.each(named(guests))(
    'a pool takes a certificate that becomes valid in two seconds, then: %s',
    async (_name, guest) => {
      const stay = newStay(guest, 3000, DAY_MS)
      // A certificate's dates have whole seconds.
      const [atLeast, atMost] = [Date.now() + 2000, Date.now() + 3000]
      const early: (number | 'closed')[] = []
      const late: (number | 'closed')[] = []
      while (late.at(-1) !== 200 && late.length < 5) {
        const asked = Date.now()
        const connection = await come(stay, stay.latest, stay.home)
        const status = await connection.ask('A')
        stay.latest = (await connection.ticket()) ?? stay.latest
        connection.leave()
        if (Date.now() < atLeast) early.push(status)
        else if (asked > atMost) late.push(status)
        await setTimeout(250)
      }
      expect(new Set(early)).toEqual(new Set([401]))
      expect(late.filter((status) => status !== 200).length).toBeLessThan(2)
      expect(late.at(-1)).toBe(200)
    },
  )
})

describe('a PKCS#12 server identity with CAs inside', () => {
  let ca: Holder
  let issuing: Holder
  let fixture: TestGateway
  const run = promisify(execFile)
  const workspace = makeWorkspace()

  beforeAll(async () => {
    ca = certifyCa('root of the server')
    issuing = certifyCa('issuing CA of the server', { by: ca })
    const { path, write } = await workspace
    await write('server.pem', pki.server.certificate)
    await write('server.key', pki.server.key)
    await write('cas.pem', pki.serverCa.certificate + ca.certificate + issuing.certificate)
    await write('passphrase', 'p12')
    const files = ['-in', path('server.pem'), '-inkey', path('server.key'), '-certfile', path('cas.pem')]
    await run('openssl', ['pkcs12', '-export', ...files, '-out', path('server.p12'), '-passout', 'pass:p12']).catch(
      (error: unknown) => {
        throw new Error('these tests need the openssl command: install it; they are not to be skipped', {
          cause: error,
        })
      },
    )
    const tls = { pkcs12: path('server.p12'), passphrase: { file: path('passphrase') } }
    fixture = await startTestGateway(pki, [key], { ...settingsOf(['A']), listen: { tls } })
  })
  afterAll(async () => {
    await fixture.stop()
    await (await workspace).remove()
  })

  const clients: readonly (readonly [name: string, make: () => Identity | Promise<Identity>, status: number])[] = [
    ['of the pool’s root', () => sending(certifyClient(RIGHT, cas.rootA)), 200],
    ['of the root inside', () => sending(certifyClient(RIGHT, ca)), 401],
    ['of the root inside, which is sent', () => sending(certifyClient(RIGHT, ca), ca), 401],
    ['of the issuing CA inside', () => sending(certifyClient(RIGHT, issuing)), 401],
    ['of the issuing CA inside, which is sent', () => sending(certifyClient(RIGHT, issuing), issuing, ca), 401],
    ['of the server certificate’s own root', () => makeClient(pki.serverCa), 401],
  ]
  it.each(clients)('gives no client access to a pool: %s', async (_name, make, status) => {
    const identity = await make()
    const first = await visit({ port: fixture.port, pki, identity })
    expect(['fresh', await first.ask('A')]).toEqual(['fresh', status])
    const second = await visit({ port: fixture.port, pki, identity, session: await first.ticket() })
    expect(['resumed', second.isResumed, await second.ask('A')]).toEqual(['resumed', true, status])
    if (status === 401) {
      const records = (await fixture.logged('request')).slice(-2)
      expect(records).toMatchObject([{ detail: 'ISSUER_UNKNOWN' }, { detail: 'ISSUER_UNKNOWN' }])
    }
    for (const connection of [first, second]) connection.leave()
  })
})

describe('gateways that share their ticket keys, with clocks that are days apart', () => {
  const servings = new Map<number, Serving>()
  let longPki: Pki

  /** The library of Debian's package faketime. It fakes a process's clock, except its monotonic one. */
  function faketime(): string {
    for (const folder of readdirSync('/usr/lib')) {
      const library = `/usr/lib/${folder}/faketime/libfaketime.so.1`
      if (existsSync(library)) return library
    }
    throw new Error('these tests need libfaketime: run test/debian-packages.sh; they are not to be skipped')
  }

  beforeAll(async () => {
    // The server's certificate must be valid by every one of the clocks.
    const dates = { notBefore: new Date(Date.now() - 60 * DAY_MS), notAfter: new Date(Date.now() + 60 * DAY_MS) }
    const serverCa = await issue({ commonName: 'a CA of old', usage: 'authority', ...dates })
    const server = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'], ...dates }, serverCa)
    longPki = { ...pki, serverCa, server }
    const tickets = randomBytes(48).toString('hex')
    const settings = settingsOf(['A', 'B'])
    const library = faketime()
    await Promise.all(
      wrongClocks.map(async (days) => {
        const environment = {
          LD_PRELOAD: library,
          FAKETIME: `${days < 0 ? '' : '+'}${days}d`,
          DONT_FAKE_MONOTONIC: '1',
        }
        const shared = { listen: { ticketKeys: { file: 'tickets' } }, files: { ...settings.files, tickets } }
        servings.set(days, await startServing(longPki, [key], { ...settings, ...shared }, { environment }))
      }),
    )
  })
  afterAll(async () => {
    for (const serving of servings.values()) await serving.remove()
  })

  const portOf = (days: number) => servings.get(days)?.port ?? 0

  it.each(named(clockLeaves))('judge by their own clocks, whatever the other one found: %s', async (_name, leaf) => {
    const [from, until] = leaf.validity.map((days) => days * DAY_MS) as [number, number]
    const told: string[] = []
    const expected: string[] = []
    let resumptions = 0
    for (const guest of guests) {
      const identity = guest.make(cas, { from, until })
      for (const first of wrongClocks) {
        const before = await visit({ port: portOf(first), pki: longPki, identity })
        const label = `${guest.name}, first where the clock is off by ${first} days`
        told.push(`${label}: ${await before.ask('A')}`)
        expected.push(`${label}: ${first === leaf.holdsAt ? 200 : 401}`)
        const session = await before.ticket()
        before.leave()
        for (const second of wrongClocks) {
          const way = `${label}, then by its ticket where it is off by ${second}`
          const wanted = second === leaf.holdsAt ? 200 : 401
          const address = newAddress()
          let after = await visit({ port: portOf(second), pki: longPki, identity, session, address })
          let status = await after.ask('A')
          if (after.isResumed) resumptions += 1
          after.leave()
          if (after.isResumed && wanted === 200 && status === 401) {
            // This gateway never received the issuing CA. It refuses once, and asks for a full handshake.
            after = await visit({ port: portOf(second), pki: longPki, identity, session, address })
            expect([way, after.isResumed]).toEqual([way, false])
            status = await after.ask('A')
            after.leave()
          }
          told.push(`${way}: ${status}`)
          expected.push(`${way}: ${wanted}`)
        }
      }
    }
    expect(told).toEqual(expected)
    // A ticket from a clock 40 days behind is too old elsewhere. All others are accepted.
    expect(resumptions).toBeGreaterThanOrEqual(6 * guests.length)
  })
})
