import type { Readable } from 'node:stream'
import type { RelayLog } from '../../telemetry/log.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Bytes. A longer line is passed on in parts; no log line is that long. */
const MAX_LINE_BYTES = 64 * 1024
const NEWLINE = 0x0a

/** Where a worker's output goes. */
interface Destinations {
  readonly log: RelayLog
  /** The destination of the log. It decides whether what workers print there is a log line. */
  readonly destination: string
}

/** Passes on what a worker prints: to the log, or to the primary's own stream of the same name. */
export function relayOutput({ stdout, stderr }: WorkerProcess, { log, destination }: Destinations): void {
  for (const [name, stream, own] of [
    ['stdout', stdout, process.stdout],
    ['stderr', stderr, process.stderr],
  ] as const) {
    const isLog = destination === name
    relayLines(stream, (text, lines) => (isLog ? log.relay(text, lines) : own.write(text)))
  }
}

/** Passes on what a process writes, in whole lines, so that the lines of several processes do not mix. */
function relayLines(stream: Readable | null, pass: (text: string, lines: number) => void): void {
  let rest: Buffer[] = []
  let restBytes = 0
  const flush = (bytes: Buffer) => {
    const whole = Buffer.concat([...rest, bytes])
    rest = []
    restBytes = 0
    let lines = 0
    for (const byte of whole) if (byte === NEWLINE) lines += 1
    if (whole.length > 0) pass(whole.toString(), Math.max(1, lines))
  }
  stream?.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end > 0) flush(chunk.subarray(0, end))
    const left = chunk.subarray(end)
    if (left.length === 0) return
    rest.push(left)
    restBytes += left.length
    if (restBytes > MAX_LINE_BYTES) flush(Buffer.alloc(0))
  })
  stream?.on('end', () => flush(Buffer.alloc(0)))
  stream?.on('error', () => undefined)
}
