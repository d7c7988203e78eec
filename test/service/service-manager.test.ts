import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServiceManager, type Managed } from '../../src/service/service-manager.ts'
import { until } from '../commands/cli.ts'
import { startServing } from '../commands/serving.ts'
import { aesKey, type Settings } from '../support/gateway.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { makeWorkspace } from '../support/workspace.ts'
import { openNotifySocket, type NotifySocket } from './notify-socket.ts'

let pki: Pki
beforeAll(async () => {
  pki = await makePki()
})

const left: (() => unknown)[] = []
afterAll(async () => {
  for (const remove of left) await remove()
})

async function open(): Promise<NotifySocket> {
  const workspace = await makeWorkspace()
  const socket = await openNotifySocket(workspace)
  left.push(
    () => socket.close(),
    () => workspace.remove(),
  )
  return socket
}

/** `serve` as systemd starts it. */
async function startSupervised(settings: Settings, watchdogMs: number) {
  const socket = await open()
  const environment = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: String(watchdogMs * 1000) }
  const served = await startServing(pki, [aesKey('aes-1')], settings, { environment })
  left.push(() => served.remove())
  return { socket, ...served }
}

describe.each([1, 2])('serve with %i process(es), under systemd', (workers) => {
  it('reports that it serves, reloads, is alive and stops', async () => {
    const { socket, port, cli, workspace } = await startSupervised({ workers }, 600)
    expect(await socket.receives('READY=1')).toEqual(['READY=1', `STATUS=Serving on port ${port}.`])
    expect(socket.received[0]).toContain('READY=1')
    const alive = ['WATCHDOG=1', `STATUS=Serving on port ${port}. Pools ready: 1 of 1.`]
    expect(await socket.receives('WATCHDOG=1', 2)).toEqual(alive)

    const before = process.hrtime.bigint() / 1000n
    cli.kill('SIGHUP')
    const reloading = await socket.receives('RELOADING=1')
    const [, at = ''] = /^MONOTONIC_USEC=(\d+)$/.exec(reloading[1] ?? '') ?? []
    expect(BigInt(at)).toBeGreaterThanOrEqual(before)
    expect(BigInt(at)).toBeLessThanOrEqual(process.hrtime.bigint() / 1000n)
    expect(await socket.receives('READY=1', 2)).toEqual(['READY=1', `STATUS=Serving on port ${port}.`])

    await workspace.write('gateway.yaml', 'nonsense: true\n')
    cli.kill('SIGHUP')
    expect((await socket.receives('READY=1', 3))[1]).toMatch(/The last reload failed .* reload_failed in the log/)

    cli.kill('SIGTERM')
    expect(await socket.receives('STOPPING=1')).toEqual(['STOPPING=1', 'STATUS=Finishing running requests.'])
    expect(await cli.ended).toMatchObject({ code: 0 })
  })
})

/** A service whose processes answer as `alive` says. */
const serviceThat = (alive: () => boolean, warnings: unknown[] = []): Managed => ({
  port: 8443,
  draining: false,
  log: { warn: (event, fields) => void warnings.push({ event, ...fields }) },
  reload: async () => true,
  collect: (async () => (alive() ? [{ pools: [], backends: [], connections: {} }] : [])) as Managed['collect'],
})

it('does not report a reload while it stops, because systemd would take that for a service that has started', async () => {
  const socket = await open()
  const reloads: unknown[] = []
  const service: Managed = {
    ...serviceThat(() => true),
    draining: true,
    reload: async (cause) => {
      reloads.push(cause)
      return true
    },
  }
  const serviceManager = new ServiceManager({ ...process.env, NOTIFY_SOCKET: socket.path })
  await serviceManager.reload(service)
  await serviceManager.stopping()
  await socket.receives('STOPPING=1')
  expect(reloads).toEqual(['SIGHUP'])
  expect(socket.received).toHaveLength(1)
})

it('reports nothing while no serving process answers', async () => {
  const socket = await open()
  let alive = true
  const serviceManager = new ServiceManager({ ...process.env, NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '100000' })
  serviceManager.ready(serviceThat(() => alive))
  await socket.receives('WATCHDOG=1', 2)
  alive = false
  // On a busy machine a notification may have been on its way when the process died.
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const count = socket.received.length
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(socket.received).toHaveLength(count)
})

it('feeds no watchdog of another process', async () => {
  const socket = await open()
  const serviceManager = new ServiceManager({
    ...process.env,
    NOTIFY_SOCKET: socket.path,
    WATCHDOG_USEC: '100000',
    WATCHDOG_PID: '1',
  })
  serviceManager.ready(serviceThat(() => true))
  await socket.receives('READY=1')
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect(socket.received).toHaveLength(1)
})

it('passes systemd’s variables to no other process, and logs once that systemd cannot be reached', async () => {
  const environment = { PATH: '/nowhere', NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '100000', OTHER: 'stays' }
  const warnings: unknown[] = []
  new ServiceManager(environment).ready(serviceThat(() => true, warnings))
  expect(environment).toEqual({ PATH: '/nowhere', OTHER: 'stays' })
  await until('a warning', () => warnings.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(warnings).toEqual([{ event: 'systemd_not_told', what: 'READY=1', code: 'ENOENT' }])
})

it('notifies nobody if there is no systemd', async () => {
  const warnings: unknown[] = []
  const serviceManager = new ServiceManager({ PATH: '/nowhere', WATCHDOG_USEC: '20000' })
  const service = serviceThat(() => true, warnings)
  serviceManager.ready(service)
  await serviceManager.reload(service)
  await serviceManager.stopping()
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(warnings).toEqual([])
})
