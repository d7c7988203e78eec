import { once } from 'node:events'
import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Gate, type GateLimits } from '../../src/tls/gate.ts'
import { networkOf } from '../../src/tls/network.ts'
import type { Arrival, ShedReason, Standing } from '../../src/tls/stranger.ts'

const HELLO = Buffer.from([22, 3, 1, 0, 2, 1, 0])
const LIMITS: GateLimits = { maxConnections: 100, maxUnverifiedConnections: 100, handshakeMs: 20_000 }

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Stops the gate's clock, so that no time passes but what the test lets pass. */
function stopClock(): { pass(ms: number): void } {
  let now = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
  closers.push(() => clock.mockRestore())
  return { pass: (ms) => (now += ms) }
}

/** The number of unverified connections that need no gate. */
const FEW = 8

/** A port with a gate, whose connections are not served. */
async function makeGate(limits: Partial<GateLimits> = {}) {
  const begun: Arrival[] = []
  const shed: ShedReason[] = []
  const idle = new Map<Arrival, number>()
  const gate = new Gate(
    { ...LIMITS, ...limits },
    {
      begin: (arrival) => void begun.push(arrival),
      onShed: (reason) => void shed.push(reason),
      idleSince: (arrival) => idle.get(arrival),
    },
  )
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
  /** Silent strangers, each with an address of its own. Later connections have to wait for their turn. */
  const crowd = async () => {
    for (let count = 0; count < FEW; count += 1) await open(count % 2 === 0 ? '127.0.0.8' : '127.0.0.9')
    await expect.poll(() => begun.length).toBe(FEW)
    begun.length = 0
  }
  /** Opens connections whose handshake ends with `standing`. */
  const connectAs = async (standing: Standing, count = 1, localAddress?: string) => {
    const clients: { readonly socket: Socket; readonly arrival: Arrival }[] = []
    for (let made = 0; made < count; made += 1) {
      const before = begun.length
      const socket = await open(localAddress)
      socket.write(HELLO)
      await expect.poll(() => begun.length, { interval: 1 }).toBe(before + 1)
      const arrival = begun[before] as Arrival
      arrival.socket.resume()
      gate.handshakeDone(arrival, standing)
      clients.push({ socket, arrival })
    }
    return clients
  }
  return { gate, begun, shed, idle, open, crowd, connectAs }
}

type Made = Awaited<ReturnType<typeof makeGate>>

const allowed = (identity: string): Standing => ({ kind: 'allowed', identity })

const isOpen = (socket: Socket) => !socket.destroyed

describe('the gate', () => {
  it('lets a few unverified connections through at once, and reports which of them sent nothing', async () => {
    const { gate, begun, shed, open } = await makeGate({ handshakeMs: 1000 })
    const [silent, halfway] = [await open(), await open()]
    await expect.poll(() => begun.length).toBe(2)
    expect(gate.connections).toEqual({ allowed: 0, verified: 0, unverified: 2 })
    for (const { socket } of begun) socket.resume()
    halfway.write(HELLO)
    await Promise.all([once(silent, 'close'), once(halfway, 'close')])
    expect(shed).toEqual(['silent', 'handshake_timeout'])
    expect(begun.map(({ isSilent, shedReason }) => [isSilent, shedReason])).toEqual([
      [true, 'silent'],
      [false, 'handshake_timeout'],
    ])
  })

  it('has room for more when others have finished', async () => {
    const { gate, begun, open } = await makeGate()
    for (let round = 0; round < 3 * FEW; round += 1) {
      const client = await open()
      await expect.poll(() => begun.length, { interval: 1 }).toBe(round + 1)
      if (round % 2 === 0) gate.handshakeDone(begun[round] as Arrival, allowed('a'))
      else client.destroy()
      await expect.poll(() => gate.connections.unverified, { interval: 1 }).toBe(0)
    }
  })

  it('lets no further connection through before its whole ClientHello has arrived, and loses none of it', async () => {
    const { begun, open, crowd } = await makeGate()
    await crowd()
    const client = await open()
    for (const byte of HELLO.subarray(0, -1)) {
      client.write(Buffer.from([byte]))
      await setTimeout(5)
    }
    expect(begun).toHaveLength(0)
    client.write(HELLO.subarray(-1))
    await expect.poll(() => begun.length).toBe(1)
    expect(begun[0]?.socket.read()).toEqual(HELLO)
  })

  it('lets through at once what can never be a ClientHello, for TLS to refuse', async () => {
    const { begun, open, crowd } = await makeGate()
    await crowd()
    ;(await open()).write('GET /')
    await expect.poll(() => begun.length).toBe(1)
  })

  it('serves addresses round-robin, however many connections one of them has', async () => {
    const { gate, begun, open, crowd } = await makeGate()
    await crowd()
    // Each handshake ends at once, so that none keeps the next one waiting.
    const { push } = begun
    begun.push = (arrival) => {
      queueMicrotask(() => gate.handshakeDone(arrival, { kind: 'stranger' }))
      return push.call(begun, arrival)
    }
    const many = await Promise.all(Array.from({ length: 20 }, () => open('127.0.0.2')))
    const one = await open('127.0.0.3')
    await expect.poll(() => gate.connections.unverified).toBe(FEW + 21)
    // All connections arrive in one turn of this event loop, which is the gate's too.
    for (const socket of [...many, one]) socket.write(HELLO)
    await expect.poll(() => begun.length).toBe(21)
    expect(begun.findIndex(({ address }) => address === '127.0.0.3')).toBeLessThan(18)
  })

  it('reserves a few places for addresses without a running handshake', async () => {
    const { begun, open, crowd } = await makeGate({ maxConnections: 300, maxUnverifiedConnections: 300 })
    await crowd()
    // These have had their time to answer, and the gate no longer waits for them.
    await setTimeout(220)
    // No later connection has its time to answer, and no turn of the event loop is long.
    stopClock()
    // As many as may be under way.
    const many = await Promise.all(Array.from({ length: 128 }, (_, index) => open(`127.0.1.${1 + (index >> 2)}`)))
    const one = await open('127.0.0.3')
    for (const socket of many) socket.write(HELLO)
    await expect.poll(() => begun.length, { interval: 1 }).toBe(128)
    one.write(HELLO)
    await expect.poll(() => begun.length, { interval: 1 }).toBe(129)
  })

  it('closes a connection that sends nothing in time, or does not finish its handshake', async () => {
    const { gate, shed, open, crowd } = await makeGate({ handshakeMs: 1000 })
    await crowd()
    const [silent, halfway] = [await open(), await open()]
    halfway.write(HELLO)
    await Promise.all([once(silent, 'close'), once(halfway, 'close')])
    expect(shed.toSorted()).toEqual(['handshake_timeout', ...Array<string>(FEW + 1).fill('silent')])
    expect(gate.connections).toEqual({ allowed: 0, verified: 0, unverified: 0 })
  })

  it('gives new connections a changed time limit, and earlier ones the one that they had', async () => {
    const { gate, shed, open } = await makeGate({ handshakeMs: 2500 })
    const ends: string[] = []
    const client = async (name: string) => (await open()).on('close', () => ends.push(name))
    await client('first')
    gate.renew({ ...LIMITS, handshakeMs: 200 })
    await client('second')
    await expect.poll(() => ends, { interval: 5 }).toEqual(['second'])
    expect(gate.connections.unverified).toBe(1)
    await expect.poll(() => ends, { interval: 5 }).toEqual(['second', 'first'])
    expect(shed).toEqual(['silent', 'silent'])
  })

  it('closes the oldest silent connection of the address with most connections', async () => {
    const { begun, shed, open, crowd } = await makeGate({ maxUnverifiedConnections: FEW + 10 })
    await crowd()
    const modest = await open('127.0.0.3')
    const greedy: Socket[] = []
    for (let count = 0; count < FEW + 1; count += 1) greedy.push(await open('127.0.0.2'))
    greedy[0]?.write(HELLO)
    await expect.poll(() => begun.length).toBe(1)
    const newcomer = await open('127.0.0.4')
    await expect.poll(() => greedy.map(isOpen)).toEqual([true, false, ...Array<boolean>(FEW - 1).fill(true)])
    expect(shed).toEqual(['too_many_unverified'])
    expect([modest, newcomer].map(isOpen)).toEqual([true, true])
  })

  it('allows a network without a known client four handshakes, of which the oldest is closed after a second', async () => {
    const { begun, shed, open, crowd } = await makeGate({ handshakeMs: 10_000 })
    await crowd()
    const clock = stopClock()
    const clients = await Promise.all(Array.from({ length: 5 }, () => open('127.0.0.2')))
    for (const client of clients) client.write(HELLO)
    await expect.poll(() => begun.length).toBe(4)
    for (const { socket } of begun) socket.resume()
    clock.pass(900)
    await setTimeout(100)
    expect(begun).toHaveLength(4)
    clock.pass(200)
    await expect.poll(() => begun.length).toBe(5)
    expect([shed, begun[0]?.shedReason]).toEqual([['handshake_timeout'], 'handshake_timeout'])
  })

  it('allows a network more handshakes with each allowed client that it shows', async () => {
    const { begun, open, crowd, connectAs } = await makeGate()
    await crowd()
    const keepsItsPlace = await open('127.0.0.2')
    await connectAs(allowed('a'), 3, '127.0.0.2')
    begun.length = 0
    stopClock()
    const clients = await Promise.all(Array.from({ length: 9 }, () => open('127.0.0.2')))
    for (const client of clients) client.write(HELLO)
    await expect.poll(() => begun.length).toBe(7)
    await setTimeout(100)
    expect([begun.length, isOpen(keepsItsPlace)]).toEqual([7, true])
  })
})

describe('the connections of allowed clients', () => {
  it('are not used up by strangers, nor by clients with a valid certificate that no pool allows', async () => {
    const { gate, shed, open, connectAs } = await makeGate({ maxConnections: 2, maxUnverifiedConnections: 3 })
    const [first] = await connectAs(allowed('a'))
    const others = await connectAs({ kind: 'verified' }, 3, '127.0.0.2')
    const stranger = await open('127.0.0.3')
    const [second] = await connectAs(allowed('a'))
    await expect.poll(() => gate.connections).toEqual({ allowed: 2, verified: 1, unverified: 1 })
    expect(shed).toEqual(['too_many_unverified', 'too_many_unverified'])
    const whoIsThere = () => [first, ...others, second].map((client) => client && isOpen(client.socket))
    await expect.poll(whoIsThere).toEqual([true, false, false, true, true])
    expect(isOpen(stranger)).toBe(true)
  })

  it('of the identity with most connections are closed for those of another, the longest idle first', async () => {
    const { gate, shed, idle, connectAs } = await makeGate({ maxConnections: 4 })
    const many = await connectAs(allowed('a'), 4)
    const since = [Infinity, 3, 2, Infinity]
    for (const [index, { arrival }] of many.entries()) idle.set(arrival, since[index] ?? 0)
    const [one] = await connectAs(allowed('b'))
    await expect.poll(() => many.map(({ socket }) => isOpen(socket))).toEqual([true, true, false, true])
    const [two] = await connectAs(allowed('b'))
    await expect.poll(() => many.map(({ socket }) => isOpen(socket))).toEqual([true, false, false, true])
    const [refused] = await connectAs(allowed('b'))
    await expect.poll(() => refused && isOpen(refused.socket)).toBe(false)
    expect([one, two].map((client) => client && isOpen(client.socket))).toEqual([true, true])
    expect([shed, gate.connections.allowed]).toEqual([['too_many', 'too_many', 'too_many'], 4])
  })

  it('are closed even in the middle of a request, if their client has all of them and none is idle', async () => {
    const { idle, connectAs } = await makeGate({ maxConnections: 2 })
    const many = await connectAs(allowed('a'), 2)
    for (const { arrival } of many) idle.set(arrival, Infinity)
    await connectAs(allowed('b'))
    await expect.poll(() => many.map(({ socket }) => isOpen(socket))).toEqual([false, true])
  })

  it('can become a stranger’s, and an allowed client’s again', async () => {
    const { gate, shed, connectAs } = await makeGate({ maxConnections: 2, maxUnverifiedConnections: 2 })
    const [first, second] = await connectAs(allowed('a'), 2)
    if (first === undefined || second === undefined) throw new Error('no clients')
    gate.restate(first.arrival, { kind: 'verified' })
    gate.restate(second.arrival, { kind: 'stranger' })
    expect(gate.connections).toEqual({ allowed: 0, verified: 1, unverified: 1 })
    gate.restate(first.arrival, allowed('b'))
    gate.restate(first.arrival, allowed('c'))
    expect(gate.connections).toEqual({ allowed: 1, verified: 0, unverified: 1 })
    for (const { socket } of [first, second]) socket.destroy()
    await expect.poll(() => gate.connections).toEqual({ allowed: 0, verified: 0, unverified: 0 })
    gate.restate(first.arrival, allowed('a'))
    expect([gate.connections.allowed, shed]).toEqual([0, []])
  })
})

describe('the traffic of an unverified connection', () => {
  const chunk = Buffer.alloc(100 * 1024)

  it('is limited during its handshake', async () => {
    const { begun, shed, open } = await makeGate()
    const client = await open()
    await expect.poll(() => begun.length).toBe(1)
    begun[0]?.socket.resume()
    client.write(chunk)
    await expect.poll(() => begun[0]?.bytesRead).toBe(chunk.length)
    expect(isOpen(client)).toBe(true)
    client.write(chunk)
    await once(client, 'close')
    expect([shed, begun[0]?.shedReason]).toEqual([['too_many_bytes'], 'too_many_bytes'])
  })

  it.each([{ kind: 'stranger' }, { kind: 'verified' }] as const)(
    'is limited after its handshake too: $kind',
    async (standing) => {
      const { shed, connectAs } = await makeGate()
      const [client] = await connectAs(standing)
      client?.socket.write(Buffer.alloc(100 * 1024))
      await setTimeout(100)
      expect(shed).toEqual([])
      client?.socket.write(Buffer.alloc(100 * 1024))
      await expect.poll(() => shed).toEqual(['too_many_bytes'])
    },
  )

  it('is limited soon after a look that had to wait for a core', async () => {
    const { begun, shed, open } = await makeGate()
    const client = await open()
    await expect.poll(() => begun.length).toBe(1)
    const clock = stopClock()
    const arrival = begun[0]
    if (arrival === undefined) throw new Error('no connection')
    arrival.socket.resume()
    let looks = 0
    // The process waits for a core for a minute while it looks.
    const bytesRead = vi.spyOn(arrival, 'bytesRead', 'get').mockImplementation(() => {
      looks += 1
      clock.pass(60_000)
      return 0
    })
    await expect.poll(() => looks).toBeGreaterThan(0)
    bytesRead.mockRestore()
    client.write(chunk)
    client.write(chunk)
    await expect.poll(() => shed).toEqual(['too_many_bytes'])
  })

  it('is not counted for an allowed client, and is counted again for one that is no longer allowed', async () => {
    const { gate, shed, connectAs } = await makeGate()
    const [client] = await connectAs(allowed('a'))
    if (client === undefined) throw new Error('no client')
    client.socket.write(Buffer.alloc(1024 * 1024))
    await expect.poll(() => client.arrival.bytesRead).toBeGreaterThan(1024 * 1024)
    gate.restate(client.arrival, { kind: 'stranger' })
    await setTimeout(60)
    expect(shed).toEqual([])
    client.socket.write(Buffer.alloc(200 * 1024))
    await expect.poll(() => shed).toEqual(['too_many_bytes'])
  })
})

describe('the time that an unverified connection costs', () => {
  /** Blocks the event loop as OpenSSL does with a heavy chain. */
  const work = (ms: number) => {
    const start = process.cpuUsage()
    for (let used = 0; used < ms * 1000;) {
      const { user, system } = process.cpuUsage(start)
      used = user + system
    }
  }

  /** @param before what its network does before */
  async function makeCostly(standing?: Standing, bytes = 20_000, before?: (made: Made) => Promise<unknown>) {
    const made = await makeGate({ handshakeMs: 4000 })
    const { gate, begun, open } = made
    await before?.(made)
    begun.length = 0
    await setTimeout(50)
    const client = await open('127.0.0.2')
    await expect.poll(() => begun.length, { interval: 1 }).toBe(1)
    const arrival = begun[0] as Arrival
    let isOver = false
    arrival.socket.once('data', () => {
      work(120)
      isOver = true
      if (standing) gate.handshakeDone(arrival, standing)
    })
    client.write(Buffer.alloc(bytes))
    await expect.poll(() => isOver).toBe(true)
    // It is charged within 20 ms.
    await setTimeout(50)
    begun.length = 0
    const hasBegun = (localAddress: string) => begun.some(({ address }) => address === localAddress)
    const comes = async (localAddress: string) => void (await open(localAddress)).write(HELLO)
    /** Resolves when a new connection's handshake begins. */
    const begins = async (localAddress: string) => {
      await comes(localAddress)
      await expect.poll(() => hasBegun(localAddress)).toBe(true)
    }
    /** Asserts that a new connection still waits when one of another network has begun. */
    const waits = async (localAddress: string) => {
      await comes(localAddress)
      await begins('127.0.0.3')
      expect(hasBegun(localAddress)).toBe(false)
    }
    return { ...made, client, begins, waits }
  }

  it.each([
    ['a handshake that does not end', undefined],
    ['a stranger', { kind: 'stranger' }],
    ['a client that no pool allows', { kind: 'verified' }],
  ] as const)('delays its network, and no other: %s', async (_what, standing) => {
    const { waits } = await makeCostly(standing)
    await waits('127.0.0.2')
  })

  it('delays its network even after it is closed', async () => {
    const { client, waits } = await makeCostly()
    client.destroy()
    await waits('127.0.0.2')
  })

  it('excludes the gateway’s own work: a few bytes do not cost much', async () => {
    const { begins } = await makeCostly(undefined, 500)
    await begins('127.0.0.2')
  })

  it('is not charged to an allowed client', async () => {
    const { begins } = await makeCostly(allowed('a'))
    await begins('127.0.0.2')
  })

  it('leaves its network one stranger at a time, until all is paid', async () => {
    const { gate, begun, shed, open } = await makeCostly({ kind: 'stranger' })
    const clock = stopClock()
    // Of some 115 ms, a hundredth of this time is paid: less than the credit is left.
    clock.pass(7000)
    const clients = await Promise.all(Array.from({ length: 3 }, () => open('127.0.0.2')))
    for (const client of clients) client.write(HELLO)
    for (const count of [1, 2, 3]) {
      await expect.poll(() => begun.length).toBe(count)
      await setTimeout(50)
      expect(begun).toHaveLength(count)
      gate.handshakeDone(begun[count - 1] as Arrival, { kind: 'stranger' })
    }
    // The costly one was cut at once.
    expect(shed).toEqual(['too_many_bytes', 'too_many_unverified', 'too_many_unverified'])
    clock.pass(20_000)
    begun.length = 0
    for (const client of await Promise.all(Array.from({ length: 3 }, () => open('127.0.0.2')))) client.write(HELLO)
    await expect.poll(() => begun.length).toBe(3)
  })

  it('leaves its network none of the idle strangers and handshakes that it had before, but one', async () => {
    const earlier: Arrival[] = []
    const { gate, begun, open } = await makeCostly(
      { kind: 'stranger' },
      20_000,
      async ({ begun: made, connectAs, open: come }) => {
        await connectAs({ kind: 'stranger' }, 2, '127.0.0.2')
        for (const client of [await come('127.0.0.2'), await come('127.0.0.2')]) client.write(HELLO)
        await expect.poll(() => made.length).toBe(4)
        earlier.push(...made)
      },
    )
    const left = () => earlier.filter(({ shedReason }) => shedReason === undefined).length
    expect(left()).toBe(4)
    stopClock().pass(7000)
    const client = await open('127.0.0.2')
    client.write(HELLO)
    await expect.poll(() => begun.length).toBe(1)
    expect(left()).toBe(2)
    gate.handshakeDone(begun[0] as Arrival, { kind: 'stranger' })
    expect(left()).toBe(0)
  })

  it('leaves its network the handshakes that its allowed clients have earned', async () => {
    const { begun, open } = await makeCostly({ kind: 'stranger' }, 20_000, (made) =>
      made.connectAs(allowed('a'), 3, '127.0.0.2'),
    )
    stopClock().pass(7000)
    for (const client of await Promise.all(Array.from({ length: 6 }, () => open('127.0.0.2')))) client.write(HELLO)
    await expect.poll(() => begun.length).toBe(4)
    await setTimeout(50)
    expect(begun).toHaveLength(4)
  })

  it('ends connections that wait for it after the time for a handshake', async () => {
    const { shed, open } = await makeCostly()
    const client = await open('127.0.0.2')
    client.write(HELLO)
    await once(client, 'close')
    expect(shed).toEqual(['handshake_timeout', 'handshake_timeout'])
  })
})

describe('the gate’s networks', () => {
  it('count an IPv6 network as one', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2')
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0')
    expect(networkOf('::1')).toBe('0:0:0:0')
    expect(networkOf('::ffff:192.0.2.1')).toBe('::ffff:192.0.2.1')
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1')
  })
})
