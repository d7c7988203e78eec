/*
 * Figures of the codec on this machine: `npm run bench -w ttlv-codec`, which builds first, or
 * `node --expose-gc adapters/ttlv-codec/bench/bench.js` after a build.
 */
import { readFileSync } from 'node:fs'
import { decode, encode, FrameReader, integer, structure } from '../dist/index.js'

const print = (text) => process.stdout.write(`${text}\n`)
const hexBytes = (text) => Uint8Array.from(Buffer.from(text, 'hex'))

/** Median over rounds, after as many to warm up, of microseconds for one call. */
function microseconds(work, calls, rounds = 9) {
  const times = []
  for (let round = 0; round < 2 * rounds; round++) {
    const start = performance.now()
    for (let call = 0; call < calls; call++) work()
    if (round >= rounds) times.push(((performance.now() - start) / calls) * 1000)
  }
  return times.sort((a, b) => a - b)[Math.floor(rounds / 2)]
}

const blocks = readFileSync(new URL('../test/golden.txt', import.meta.url), 'utf8')
  .split('## ')
  .slice(1)
const [request, response] = blocks
  .map((block) => block.trim().split('\n'))
  .find(([label]) => label.startsWith('Encrypt 1.4 AES ECB'))
  .slice(1)
  .map(hexBytes)
const tree = decode(request)

print(`Node.js ${process.version}, KMIP 1.4 Encrypt of 16 bytes, as PyKMIP answers it`)
print(`  decode the response, ${response.length} bytes: ${microseconds(() => decode(response), 50_000).toFixed(2)} µs`)
print(`  encode the request, ${request.length} bytes: ${microseconds(() => encode(tree), 50_000).toFixed(2)} µs`)

print('A Structure of Integers, 16 bytes each:')
const limits = { maxBytes: 2 ** 26, maxItems: 2 ** 26 }
for (const bytes of [2 ** 14, 2 ** 16, 2 ** 18, 2 ** 20, 2 ** 22]) {
  const items = Array.from({ length: bytes / 16 - 1 }, (_, index) => integer(0x420020, index))
  const large = structure(0x420078, items)
  const encoded = encode(large, limits)
  const calls = Math.max(1, 2 ** 20 / bytes)
  const perKiB = (work) => ((microseconds(work, calls, 5) / bytes) * 1024).toFixed(2)
  globalThis.gc?.()
  const before = process.memoryUsage()
  const kept = decode(encoded, limits)
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed - before.heapUsed
  const memory = globalThis.gc ? `${(heap / bytes).toFixed(1)} bytes of heap a byte` : 'memory only with --expose-gc'
  const reader = () => {
    const frames = new FrameReader(() => undefined, limits)
    for (let at = 0; at < encoded.length; at += 1448) frames.push(encoded.subarray(at, at + 1448))
  }
  print(
    `  ${String(bytes / 1024).padStart(5)} KiB: decode ${perKiB(() => decode(encoded, limits))}, ` +
      `encode ${perKiB(() => encode(large, limits))}, frame ${perKiB(reader)} µs/KiB; ${memory} (${kept.value.length} items)`,
  )
}
