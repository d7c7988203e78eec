/**
 * The program of the starter. It starts HSM hosts and waits for their end, so that the gateway never does. While others
 * read /proc, Linux may take seconds to release a process that has ended, and blocks the process that waits for it
 * (docs/adr/0006).
 */
import { closeInspector } from '../../contract/no-inspector.ts'
import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { nodeArguments } from '../../contract/node-arguments.ts'
import type { StarterNews, StarterOrder } from '../wire/starter-protocol.ts'

const CHANNEL = 3
const CONNECTED_MS = 1000
/**
 * Milliseconds. A host ends by itself after its current call when the gateway is gone. A host that has not ended by
 * then hangs in that call.
 */
const END_MS = 2000

// As for a host, the gateway decides when it ends.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

void closeInspector()

const hosts = new Map<number, ChildProcess>()

let ending = false

/** SoftHSM writes to the token when it logs in. A host that is killed during a login leaves a token without keys. */
function end(): void {
  if (ending) return
  ending = true
  if (hosts.size === 0) process.exit(0)
  setTimeout(() => {
    for (const host of hosts.values()) host.kill('SIGKILL')
    process.exit(0)
  }, END_MS)
}

// Node.js does not report that the gateway is gone while an acknowledgement of a channel is outstanding.
setInterval(() => {
  if (!process.connected) end()
}, CONNECTED_MS)
process.on('disconnect', end)

process.on('message', (order: StarterOrder) => {
  if ('start' in order) start(order)
  else if ('kill' in order) hosts.get(order.kill)?.kill('SIGKILL')
  else if ('end' in order) end()
  // This follows the acknowledgement of the channel, after which this process has closed its end.
  else tell({ free: order.taken })
})

function start({ start: id, program, environment }: Extract<StarterOrder, { start: number }>): void {
  const host = spawn(process.execPath, [...nodeArguments, program], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: environment,
  })
  host.on('error', (error) => tell({ ended: id, why: `it could not be started: ${error.message}` }))
  host.on('exit', (code, signal) => {
    hosts.delete(id)
    if (ending && hosts.size === 0) process.exit(0)
    tell({ ended: id, why: signal === null ? `it exited (${code})` : `it was ended by ${signal}` })
  })
  if (host.pid === undefined) return
  hosts.set(id, host)
  tell({ started: id, pid: host.pid }, host.stdio[CHANNEL] as Socket)
}

function tell(news: StarterNews, channel?: Socket): void {
  if (process.connected) process.send?.(news, channel, undefined, () => undefined)
}
