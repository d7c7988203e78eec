import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { Gate, networkOf, type GateLimits } from '../../src/tls/gate.ts'
import type { Arrival, ShedReason } from '../../src/tls/stranger.ts'

const HELLO = Buffer.from([22, 3, 1, 0, 2, 1, 0])
const LIMITS: GateLimits = { maxConnections: 100, maxUnverifiedConnections: 100, handshakeMs: 2000 }

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** So many strangers do without the gate. */
const FEW = 8

/** A port with a gate, behind which nothing is done. */
async function makeGate(limits: Partial<GateLimits> = {}) {
  const begun: Arrival[] = []
  const shed: ShedReason[] = []
  const gate = new Gate({ ...LIMITS, ...limits }, (arrival) => void begun.push(arrival), (reason) => void shed.push(reason))
  const server = createServer((socket) => gate.admit(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  closers.push(() => {
    gate.close()
    for (const { socket } of begun) socket.destroy()
    server.close()
  })
  const open = async (localAddress = '127.0.0.1') => {
    const socket = connectTcp({ port, host: '127.0.0.1', localAddress })
    socket.on('error', () => undefined)
    socket.resume()
    closers.push(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  /** Strangers of an address of their own, who say nothing: whoever comes after them has to wait for its turn. */
  const crowd = async () => {
    for (let count = 0; count < FEW; count += 1) await open('127.0.0.9')
    await expect.poll(() => begun.length).toBe(FEW)
    begun.length = 0
  }
  return { gate, begun, shed, open, crowd }
} // prettier-ignore

const isOpen = (socket: Socket) => !socket.destroyed

describe('the gate', () => {
  it('lets a few strangers through at once, and tells who of them said nothing', async () => {
    const { gate, begun, shed, open } = await makeGate({ handshakeMs: 300 })
    const [silent, halfway] = [await open(), await open()]
    await expect.poll(() => begun.length).toBe(2)
    expect(gate.connections).toEqual({ verified: 0, unverified: 2 })
    for (const { socket } of begun) socket.resume()
    halfway.write(HELLO)
    await Promise.all([once(silent, 'close'), once(halfway, 'close')])
    expect(shed).toEqual(['silent', 'handshake_timeout'])
    expect(begun.map(({ isSilent, shedReason }) => [isSilent, shedReason])).toEqual([
      [true, 'silent'],
      [false, 'handshake_timeout'],
    ])
  })

  it('has room for a few again when others are done', async () => {
    const { gate, begun, open } = await makeGate()
    for (let round = 0; round < 3 * FEW; round += 1) {
      const client = await open()
      await expect.poll(() => begun.length, { interval: 1 }).toBe(round + 1)
      if (round % 2 === 0) gate.handshakeDone(begun[round] as Arrival, true)
      else client.destroy()
      await expect.poll(() => gate.connections.unverified, { interval: 1 }).toBe(0)
    }
  })

  it('lets nobody else through before a whole hello is there, and loses none of it', async () => {
    const { begun, open, crowd } = await makeGate()
    await crowd()
    const client = await open()
    for (const byte of HELLO.subarray(0, -1)) {
      client.write(Buffer.from([byte]))
      await setTimeout(5)
    }
    expect(begun).toHaveLength(0)
    client.write(HELLO.subarray(-1))
    await setTimeout(30)
    expect(begun[0]?.socket.read()).toEqual(HELLO)
  })

  it('lets through at once what will never be a hello, for TLS to refuse', async () => {
    const { begun, open, crowd } = await makeGate()
    await crowd()
    ;(await open()).write('GET /')
    await setTimeout(30)
    expect(begun).toHaveLength(1)
  })

  it('serves the addresses in turn, however many connections one of them has', async () => {
    const { begun, open, crowd } = await makeGate()
    await crowd()
    const many = await Promise.all(Array.from({ length: 20 }, () => open('127.0.0.2')))
    const one = await open('127.0.0.3')
    await setTimeout(50)
    // All in one turn of this event loop, which is the gate's too.
    for (const socket of [...many, one]) socket.write(HELLO)
    await setTimeout(100)
    expect(begun).toHaveLength(21)
    expect(begun.findIndex(({ address }) => address === '127.0.0.3')).toBeLessThan(18)
  })

  // Where turns of the event loop are long, as in a process that is new, fewer may be under way.
  it('keeps a few places for addresses that have no handshake under way', { retry: 5 }, async () => {
    const { begun, open, crowd } = await makeGate({ maxConnections: 300, maxUnverifiedConnections: 300 })
    await crowd()
    // They have had their time to answer, and are not waited for.
    await setTimeout(220)
    // As many as may be under way; after 200 ms they are not waited for any more.
    const many = await Promise.all(Array.from({ length: 128 }, () => open('127.0.0.2')))
    const one = await open('127.0.0.3')
    const start = performance.now()
    for (const socket of many) socket.write(HELLO)
    await expect.poll(() => begun.length, { interval: 1 }).toBe(128)
    one.write(HELLO)
    await expect.poll(() => begun.length, { interval: 1 }).toBe(129)
    expect(performance.now() - start).toBeLessThan(200)
  })

  it('closes who says nothing in time, and who does not end its handshake', async () => {
    const { gate, shed, open, crowd } = await makeGate({ handshakeMs: 600 })
    await crowd()
    const [silent, halfway] = [await open(), await open()]
    halfway.write(HELLO)
    await Promise.all([once(silent, 'close'), once(halfway, 'close')])
    expect(shed.toSorted()).toEqual(['handshake_timeout', ...Array<string>(FEW + 1).fill('silent')])
    expect(gate.connections).toEqual({ verified: 0, unverified: 0 })
  })

  it('gives newcomers another time when it is told to, and the others the time that they had', async () => {
    const { gate, shed, open } = await makeGate({ handshakeMs: 1200 })
    const ends: string[] = []
    const client = async (name: string) => (await open()).on('close', () => ends.push(name))
    await client('first')
    gate.renew({ ...LIMITS, handshakeMs: 200 })
    await client('second')
    await expect.poll(() => ends, { interval: 5 }).toEqual(['second'])
    expect(gate.connections.unverified).toBe(1)
    await expect.poll(() => ends, { interval: 5, timeout: 2000 }).toEqual(['second', 'first'])
    expect(shed).toEqual(['silent', 'silent'])
  })

  it('gives up the oldest silent stranger of the address that has most', async () => {
    const { shed, open, crowd } = await makeGate({ maxUnverifiedConnections: FEW + 10 })
    await crowd()
    const modest = await open('127.0.0.3')
    const greedy: Socket[] = []
    for (let count = 0; count < FEW + 1; count += 1) greedy.push(await open('127.0.0.2'))
    greedy[0]?.write(HELLO)
    await setTimeout(50)
    const newcomer = await open('127.0.0.4')
    await setTimeout(50)
    expect(shed).toEqual(['too_many_unverified'])
    expect(greedy.map(isOpen)).toEqual([true, false, ...Array<boolean>(FEW - 1).fill(true)])
    expect([modest, newcomer].map(isOpen)).toEqual([true, true])
  })

  it('never gives up a verified client for a stranger', async () => {
    const { gate, begun, shed, open } = await makeGate({ maxConnections: 2 })
    const clients = [await open(), await open()]
    for (const client of clients) client.write(HELLO)
    await setTimeout(50)
    for (const arrival of begun) {
      arrival.socket.resume()
      gate.handshakeDone(arrival, true)
    }
    const stranger = await open()
    await once(stranger, 'close')
    expect([shed, gate.connections]).toEqual([['too_many'], { verified: 2, unverified: 0 }])
    expect(clients.map(isOpen)).toEqual([true, true])
    clients[0]?.destroy()
    await setTimeout(50)
    expect(gate.connections).toEqual({ verified: 1, unverified: 0 })
  })

  it('counts an IPv6 network as one', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2')
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0')
    expect(networkOf('::1')).toBe('0:0:0:0')
    expect(networkOf('::ffff:192.0.2.1')).toBe('::ffff:192.0.2.1')
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1')
  })
})
