/**
 * The program of an HSM host: a child process that loads the vendor's PKCS#11 module. A call that hangs or crashes then
 * affects this process and not the gateway. It never returns to the event loop: it reads file descriptor 3 with a
 * blocking read, makes the calls, and writes with a blocking write. It ends when the gateway closes its end.
 */
import '../../contract/no-inspector.ts'
import { readSync, writeSync } from 'node:fs'
import { FrameReader, FrameWriter } from '../wire/frames.ts'
import { Answerer, toRequest, type Request } from './answerer.ts'

const CHANNEL = 3
const READ_BYTES = 64 * 1024

// The gateway decides when a host ends. Ctrl-C at a terminal, or a service manager, signals the whole group at once,
// while the gateway still has requests to finish.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)

function writeAll(bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(CHANNEL, bytes, at)
  } catch {
    process.exit(0)
  }
}

/**
 * Milliseconds. The answers of quick calls are written together, because each write wakes the gateway, which costs more
 * than the data. No answer waits for another call that may be as slow as its own.
 */
const GATHER_MS = 0.4
const answers = new FrameWriter()
let lastWrite = 0

function flush(): void {
  lastWrite = performance.now()
  if (answers.isEmpty) return
  const bytes = answers.take()
  writeAll(bytes)
  bytes.fill(0)
}

const answerer = new Answerer((answer) => {
  answers.add(answer)
  if (performance.now() - lastWrite > GATHER_MS) flush()
})

const reader = new FrameReader()
const chunk = Buffer.alloc(READ_BYTES)

for (;;) {
  let count: number
  try {
    count = readSync(CHANNEL, chunk, 0, READ_BYTES, null)
  } catch {
    break
  }
  if (count === 0) break
  lastWrite = performance.now()
  const requests: Request[] = []
  reader.push(chunk.subarray(0, count), (frame) => requests.push(toRequest(frame)))
  chunk.fill(0, 0, count)
  await answerer.serve(requests)
  flush()
}
process.exit(0)
