/**
 * The program of the process that starts HSM hosts and waits for them, so that the gateway never does: while others read
 * /proc, Linux may take seconds to let go of a process that has ended, and whoever waits for it does nothing else
 * (docs/adr/0006).
 */
import { closeInspector, withoutInspector } from '../../contract/no-inspector.ts'
import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import type { StarterNews, StarterOrder } from '../starter-protocol.ts'

const CHANNEL = 3
const CONNECTED_MS = 1000
/** A host ends by itself when the gateway is gone, after the call in hand; one that has not by then hangs in it. */
const END_MS = 2000

// As for a host, the gateway decides when it ends.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

void closeInspector()

const hosts = new Map<number, ChildProcess>()

let ending = false

/** SoftHSM writes to the token when it logs in: a host that is killed then leaves a token without keys. */
function end(): void {
  if (ending) return
  ending = true
  if (hosts.size === 0) process.exit(0)
  setTimeout(() => {
    for (const host of hosts.values()) host.kill('SIGKILL')
    process.exit(0)
  }, END_MS)
}

// Node.js does not say that the gateway is gone while it owes the acknowledgement of a channel.
setInterval(() => {
  if (!process.connected) end()
}, CONNECTED_MS)
process.on('disconnect', end)

process.on('message', (order: StarterOrder) => {
  if ('start' in order) start(order)
  else if ('kill' in order) hosts.get(order.kill)?.kill('SIGKILL')
  else if ('end' in order) end()
  // It comes after the acknowledgement of the channel, with which this process's end of it was closed.
  else tell({ free: order.taken })
})

function start({ start: id, program, environment }: Extract<StarterOrder, { start: number }>): void {
  const host = spawn(process.execPath, [...withoutInspector, program], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: environment,
  })
  host.on('error', (error) => tell({ ended: id, why: `it could not be started: ${error.message}` }))
  host.on('exit', (code, signal) => {
    hosts.delete(id)
    if (ending && hosts.size === 0) process.exit(0)
    tell({ ended: id, why: signal === null ? `it exited (${code})` : `it died of ${signal}` })
  })
  if (host.pid === undefined) return
  hosts.set(id, host)
  tell({ started: id, pid: host.pid }, host.stdio[CHANNEL] as Socket)
}

function tell(news: StarterNews, channel?: Socket): void {
  if (process.connected) process.send?.(news, channel, undefined, () => undefined)
}
