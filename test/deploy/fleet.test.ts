import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { HttpConnection } from '../bench/http-connection.ts'
import { isRight } from '../bench/request.ts'
import { until } from '../commands/cli.ts'
import { openSocket } from '../support/https.ts'
import { CLIENT_CN, issue, makeClient, type Identity } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { startHaproxy, startNginx, type CheckingBalancer } from './fleet/balancers.ts'
import { makeFleet, type Fleet } from './fleet/fleet.ts'
import type { GatewayHost } from './fleet/gateway-host.ts'
import { MAX_CONNECTIONS } from './fleet/kept-alive.ts'
import { Load } from './fleet/load.ts'
import { clients } from './fleet/network.ts'
import { artefact, output } from './support.ts'

/*
 * Two gateways and a balancer on hosts of their own, and 500 wraps and unwraps a second. Each answer is compared with
 * its one right value. A "lost" request has no right answer.
 */
const PATIENCE_MS = 60_000
/** The losses that a fault may cause, from its beginning on. */
const LOST_WITHIN_MS = 1000

let workspace: Workspace
let fleet: Fleet
/** The directories of the tested release and of the release before it. */
let current: string
let previous: string

beforeAll(async () => {
  workspace = await makeWorkspace()
  const unpack = async (tarball: string, name: string) => {
    output('mkdir', [workspace.path(name)])
    output('tar', ['-xzf', tarball, '-C', workspace.path(name), '--strip-components=1'])
    return workspace.path(name)
  }
  current = await unpack(artefact('.tar.gz'), 'current')
  previous = await unpack(artefact('.tar.gz', inject('previous')), 'previous')
  fleet = await makeFleet(previous)
})
afterAll(async () => {
  await fleet?.remove()
  await workspace?.remove()
})

const report = (line: string) => process.stdout.write(`${expect.getState().currentTestName}: ${line}\n`)

/** Ends a gateway as a service manager does, and starts it again from a release. */
async function replace(gateway: GatewayHost, release: string): Promise<void> {
  expect(await gateway.end('SIGTERM')).toBe(0)
  await gateway.start(release)
  expect(gateway.artefact).toBe(release)
}

/**
 * No answer is wrong, and no connection loses more than one request. No request is lost that is sent a second after the
 * fault, or after the balancer has seen the fault on a slow machine.
 */
function expectCrash({ failures }: Load, fault: number, seen: number): void {
  expect(failures.filter(({ status }) => status !== 0)).toEqual([])
  expect(failures.length).toBeLessThanOrEqual(MAX_CONNECTIONS)
  const over = Math.max(fault + LOST_WITHIN_MS, seen)
  expect(failures.filter(({ sent }) => sent > over)).toEqual([])
}

describe('behind HAProxy', () => {
  let haproxy: CheckingBalancer
  beforeAll(async () => {
    haproxy = await startHaproxy(fleet.network)
    await allUp()
  })
  afterAll(() => haproxy?.[Symbol.asyncDispose]())

  const health = (gateway: GatewayHost, wanted: string) =>
    until(
      `${gateway.name} is ${wanted}`,
      async () => (await haproxy.health(gateway.name)).startsWith(wanted),
      PATIENCE_MS,
    )
  const allUp = () => Promise.all(fleet.gateways.map((gateway) => health(gateway, 'UP')))

  it('the audit records of both gateways have the addresses of the clients', async () => {
    const marks = fleet.gateways.map((gateway) => gateway.mark())
    for (const address of [clients.azure, clients.other]) {
      using load = await Load.start(fleet, address)
      report(await load.stop())
      expect(load.failures).toEqual([])
    }
    for (const [index, gateway] of fleet.gateways.entries()) {
      const records = await gateway.records('request', marks[index])
      const addresses = new Set(records.map(({ remote_address }) => remote_address))
      expect([...addresses].sort()).toEqual([clients.azure, clients.other])
    }
  })

  it.each([
    [0, 1],
    [1, 0],
  ] as const)('a session of gateway %i is resumed by gateway %i', async (from, to) => {
    const at = (index: 0 | 1) => fleet.target(fleet.gateways[index].address, clients.azure)
    const ask = async (connection: HttpConnection) => {
      for (const call of fleet.calls) expect(isRight(call, await connection.exchange(call.request))).toBe(true)
      connection.close()
      return connection
    }
    const { session, resumed } = await ask(await HttpConnection.open(at(from)))
    expect(resumed).toBe(false)
    expect((await ask(await HttpConnection.open(at(to), { session }))).resumed).toBe(true)
  })

  it.each([
    ['an upgrade', () => current],
    ['the way back', () => previous],
  ])('%s of one gateway after the other loses nothing', async (_what, release) => {
    using load = await Load.start(fleet)
    for (const gateway of fleet.gateways) {
      await replace(gateway, release())
      await health(gateway, 'UP')
      await load.goesOn()
    }
    report(await load.stop())
    expect(load.failures).toEqual([])
    expect(load.client.resumed).toBeGreaterThan(0)
  })

  it('a new certificate, and a client that is allowed no more, lose nothing', async () => {
    const leaving = await makeClient(fleet.pki.clientCa, { commonName: 'leaving.example.com' })
    const ask = async ({ address }: GatewayHost, identity: Identity) => {
      const connection = await HttpConnection.open(fleet.target(address, clients.other, identity))
      const [call] = fleet.calls
      const { status } = await connection.exchange(call?.request ?? Buffer.of())
      connection.close()
      return status
    }
    const shown = async ({ address }: GatewayHost) => {
      const socket = await openSocket(443, fleet.pki, { host: address, servername: 'localhost' })
      const { serialNumber } = socket.getPeerCertificate()
      socket.destroy()
      return serialNumber
    }
    const { gateways, pki } = fleet
    for (const gateway of gateways) await gateway.reload(pki.server, [CLIENT_CN, 'leaving.example.com'])
    for (const gateway of gateways) expect(await ask(gateway, leaving)).toBe(200)
    const before = await Promise.all(gateways.map(shown))

    using load = await Load.start(fleet)
    const server = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, pki.serverCa)
    for (const gateway of gateways) {
      await gateway.reload(server, [CLIENT_CN])
      await load.goesOn()
    }
    for (const gateway of gateways) expect(await ask(gateway, leaving)).toBe(401)
    report(await load.stop())
    expect(load.failures).toEqual([])
    const [first, second] = await Promise.all(gateways.map(shown))
    expect(first).toBe(second)
    expect(before).not.toContain(first)
  })

  it('a gateway that loses its HSM is left out, until the HSM is back', async () => {
    const [, gateway] = fleet.gateways
    using load = await Load.start(fleet)
    const fault = performance.now()
    gateway.loseHsm(true)
    await health(gateway, 'DOWN')
    const out = performance.now()
    await load.goesOn()
    gateway.loseHsm(false)
    await health(gateway, 'UP')
    await load.goesOn()
    report(`${await load.stop(fault)}, out after ${Math.round(out - fault)} ms`)
    // The gateway answers 502 until the balancer has seen the fault and ends the connections.
    expect(load.failures.length).toBeGreaterThan(0)
    expect(load.failures.filter(({ status }) => status !== 502 && status !== 0)).toEqual([])
    expect(load.failures.filter(({ sent }) => sent > out)).toEqual([])
  })

  it('a gateway that is cut off costs what it had, and nothing that is sent a second later', async () => {
    const [gateway] = fleet.gateways
    using load = await Load.start(fleet)
    const fault = performance.now()
    fleet.network.cut(gateway.name, true)
    await health(gateway, 'DOWN')
    const seen = performance.now()
    await load.goesOn()
    fleet.network.cut(gateway.name, false)
    await health(gateway, 'UP')
    await load.goesOn()
    report(`${await load.stop(fault)}, seen after ${Math.round(seen - fault)} ms`)
    expectCrash(load, fault, seen)
  })

  it('a gateway that is killed costs what was in flight', async () => {
    const [gateway] = fleet.gateways
    using load = await Load.start(fleet)
    const fault = performance.now()
    await gateway.end('SIGKILL')
    await health(gateway, 'DOWN')
    const seen = performance.now()
    await load.goesOn()
    await gateway.start(previous)
    await health(gateway, 'UP')
    await load.goesOn()
    report(`${await load.stop(fault)}, seen after ${Math.round(seen - fault)} ms`)
    expectCrash(load, fault, seen)
  })
})

describe('behind nginx', () => {
  it('gateways that are taken out and restarted in turn lose nothing, and clients keep their addresses', async () => {
    await using nginx = await startNginx(fleet.network)
    const marks = fleet.gateways.map((gateway) => gateway.mark())
    using load = await Load.start(fleet, clients.restarted)
    for (const gateway of fleet.gateways) {
      nginx.takeOut(gateway.address)
      await replace(gateway, current)
      nginx.bringBack(gateway.address)
      await load.goesOn()
    }
    report(await load.stop())
    expect(load.failures, nginx.log()).toEqual([])
    for (const [index, gateway] of fleet.gateways.entries()) {
      const records = await gateway.records('request', marks[index])
      expect(new Set(records.map(({ remote_address }) => remote_address))).toEqual(new Set([clients.restarted]))
    }
  })
})
