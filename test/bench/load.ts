import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { HttpConnection, type Target } from './http-connection.ts'
import { stolenMs } from './machine.ts'
import { cpuSeconds, descendantsOf } from './process-tree.ts'
import { assertRight, isRight, type Call } from './request.ts'

/** Open connections to one server. */
export const openConnections = (target: Target, count: number): Promise<HttpConnection[]> =>
  Promise.all(Array.from({ length: count }, () => HttpConnection.open(target)))

export interface Throughput {
  readonly perSecond: number
  /** Requests for each second of CPU time of the server. */
  readonly perCpuSecond: number
  /** Shares of a core, from 0 to 1: of the server with its children, and of the children alone. */
  readonly serverBusy: number
  readonly childrenBusy: number
}

/**
 * Keeps this process from sleeping while `work` runs. To wake a process on another core of a virtual machine can cost the
 * server as much as half a wrap, and it has to do so the more often, the slower it is.
 */
export async function awake<T>(work: () => Promise<T>): Promise<T> {
  let working = true
  const again = () => {
    if (working) setImmediate(again)
  }
  again()
  try {
    return await work()
  } finally {
    working = false
  }
}

/**
 * Closed loop: each connection sends its next request after the reply, so that the server is saturated. Every reply is
 * checked. Rejects at the first wrong one.
 *
 * @param pid the server's process id
 * @param besideServer whether processes of the server need this process's core while it waits
 */
export async function closedLoop(
  connections: readonly HttpConnection[],
  calls: readonly Call[],
  seconds: number,
  pid: number,
  { besideServer = false } = {},
): Promise<Throughput> {
  const children = descendantsOf(pid)
  const cpuNow = () => ({ own: cpuSeconds([pid]), children: cpuSeconds(children) })
  const [start, cpuStart] = [performance.now(), cpuNow()]
  const end = start + seconds * 1000
  let answered = 0
  const run = (connection: HttpConnection, first: number) =>
    new Promise<void>((resolve, reject) => {
      let next = first
      connection.onLost(reject)
      const send = () => {
        const call = calls[next % calls.length]
        if (call === undefined) throw new RangeError('no calls')
        next += 1
        connection.send(call.request, (reply) => {
          if (!isRight(call, reply)) reject(new Error(`a wrong reply: ${reply.status} ${reply.body}`))
          answered += 1
          if (performance.now() < end) send()
          else resolve()
        })
      }
      send()
    })
  const runAll = () => Promise.all(connections.map(run))
  await (besideServer ? runAll() : awake(runAll))
  const elapsed = (performance.now() - start) / 1000
  const cpuEnd = cpuNow()
  const ofChildren = cpuEnd.children - cpuStart.children
  const cpu = cpuEnd.own - cpuStart.own + ofChildren
  return {
    perSecond: answered / elapsed,
    perCpuSecond: answered / cpu,
    serverBusy: cpu / elapsed,
    childrenBusy: ofChildren / elapsed,
  }
}

/** Sends one request at a time on one connection. Resolves with each duration in milliseconds. */
export async function serial(connection: HttpConnection, calls: readonly Call[], count: number): Promise<number[]> {
  const times: number[] = []
  for (let sent = 0; sent < count; sent += 1) {
    const call = calls[sent % calls.length]
    if (call === undefined) throw new RangeError('no calls')
    const start = performance.now()
    const reply = await connection.exchange(call.request)
    times.push(performance.now() - start)
    assertRight(call, reply)
  }
  return times
}

/** One call, or several in turn, at a fixed rate on connections of their own. */
export interface Stream {
  readonly connections: readonly HttpConnection[]
  readonly calls: readonly Call[]
  /** Requests a second. */
  readonly rate: number
}

export interface OpenLoopResult {
  /** Milliseconds from each request's due time to its reply. */
  readonly times: readonly number[]
  /** Failed requests by cause: a status, a wrong body, a lost connection. */
  readonly failures: Readonly<Record<string, number>>
  /** When each of them failed, in seconds from the first request. */
  readonly failedAt: readonly number[]
  /** Milliseconds by which this process itself was late. They are part of the times. */
  readonly ownDelay: { readonly late: number; readonly longest: number }
  /** Milliseconds that the machine's host took from its cores during the loop. */
  readonly stolen: number
}

const TICK_MS = 1
const NS_PER_MS = 1e6
/** A request without a reply counts as failed this long after the last one was due. */
const PATIENCE_MS = 5000

/**
 * Open loop: each request is due at its time, whether or not earlier ones are answered. A request waits if all
 * connections are busy, and its duration counts from its due time.
 */
export async function openLoop({ connections, calls, rate }: Stream, seconds: number): Promise<OpenLoopResult> {
  const times: number[] = []
  const failures: Record<string, number> = {}
  const failedAt: number[] = []
  const stolenBefore = stolenMs()
  const total = Math.round(rate * seconds)
  const start = performance.now()
  const dueAt = (index: number) => start + (index * 1000) / rate
  const free = [...connections]
  let sent = 0
  let over = 0
  const fail = (what: string) => {
    failures[what] = (failures[what] ?? 0) + 1
    failedAt.push((performance.now() - start) / 1000)
    over += 1
  }
  const sendDue = () => {
    const now = performance.now()
    while (sent < total && dueAt(sent) <= now) {
      // Connections take turns, since the gateway closes one that is idle for minutes.
      const connection = free.shift()
      if (connection === undefined) return
      const call = calls[sent % calls.length]
      if (call === undefined) throw new RangeError('no calls')
      const due = dueAt(sent)
      sent += 1
      connection.onLost(({ message }) => fail(message))
      connection.send(call.request, (reply) => {
        if (isRight(call, reply)) {
          times.push(performance.now() - due)
          over += 1
        } else fail(reply.status === 200 ? 'a wrong result' : `status ${reply.status}`)
        connection.onLost(() => undefined)
        free.push(connection)
        sendDue()
      })
    }
  }
  const delay = monitorEventLoopDelay({ resolution: TICK_MS })
  delay.enable()
  const patience = start + seconds * 1000 + PATIENCE_MS
  while (over < total && performance.now() < patience) {
    sendDue()
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  delay.disable()
  if (over < total) failures['no reply'] = total - over
  const late = (ns: number) => ns / NS_PER_MS - TICK_MS
  return {
    times,
    failures,
    failedAt,
    ownDelay: { late: late(delay.percentile(99)), longest: late(delay.max) },
    stolen: stolenMs() - stolenBefore,
  }
}
