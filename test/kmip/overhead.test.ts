import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { crypt, keyWrap } from '../../adapters/kmip/protocol/crypt.ts'
import { encodeRequest } from '../../adapters/kmip/protocol/message.ts'
import { Connection } from '../../adapters/kmip/transport/connection.ts'
import { tlsOptions } from '../../adapters/kmip/transport/tls.ts'
import { callContext } from '../contract/suite.ts'
import { kmipFixture, ref } from './kmip-fixture.ts'

const ROUNDS = 400
const ALLOWED_MS = 0.3

const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1] ?? Infinity

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

it('a wrap by the server’s own mode adds little to the bare exchange of its bytes', async () => {
  await using fixture = await kmipFixture({}, { connections: 1 })
  const { adapter, options, aesId } = fixture
  const [server] = options.servers
  if (server === undefined) throw new Error('no server')
  const dek = randomBytes(32)
  const request = encodeRequest([crypt('encrypt', aesId, keyWrap('NISTKeyWrap'), dek)], '2.1', 1, undefined)
  const connection = await Connection.open(tlsOptions(server, options), 2000)
  const never = new AbortController().signal
  const bare: number[] = []
  const whole: number[] = []
  // The two take turns, so that a busy machine slows down both.
  for (let round = 0; round < 2 * ROUNDS; round++) {
    const exchange = await timed(() => connection.exchange(Uint8Array.from(request), never))
    const wrap = await timed(() => adapter.wrap(ref('aes'), 'A256KW', dek, callContext(never)))
    if (round < ROUNDS) continue
    bare.push(exchange)
    whole.push(wrap)
  }
  connection.close()
  const added = median(whole) - median(bare)
  process.stdout.write(
    `bare ${median(bare).toFixed(3)} ms, wrap ${median(whole).toFixed(3)} ms, added ${added.toFixed(3)} ms\n`,
  )
  expect(added).toBeLessThan(ALLOWED_MS)
})
