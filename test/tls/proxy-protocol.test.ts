import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { plainAddress } from '../../src/base/plain-address.ts'
import { describeFirstBytes, proxyVersionOf, readProxyHeader } from '../../src/tls/proxy-protocol.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

interface V2 {
  readonly command?: number
  readonly family?: number
  readonly rest?: Buffer
}

function v2({
  command = 0x21,
  family = 0x11,
  rest = Buffer.from([192, 0, 2, 1, 10, 0, 0, 1, 4, 0, 1, 187]),
}: V2): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(rest.length)
  return Buffer.concat([SIGNATURE, Buffer.from([command, family]), length, rest])
}

const bytes = (min: number, max: number) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array))
const port = fc.integer({ min: 0, max: 65_535 })
const canonicalV6 = (address: string) => plainAddress(new SocketAddress({ address, family: 'ipv6' }).address)

/** A valid header, and the address in it. */
const headers = fc.oneof(
  fc.tuple(fc.ipV4(), fc.ipV4(), port, port).map(([source, destination, from, to]) => ({
    header: Buffer.from(`PROXY TCP4 ${source} ${destination} ${from} ${to}\r\n`),
    address: source,
  })),
  fc.tuple(fc.ipV6(), fc.ipV6(), port, port).map(([source, destination, from, to]) => ({
    header: Buffer.from(`PROXY TCP6 ${source} ${destination} ${from} ${to}\r\n`),
    address: canonicalV6(source),
  })),
  fc
    .stringMatching(/^[ -~]{0,80}$/)
    .map((text) => ({ header: Buffer.from(`PROXY UNKNOWN ${text}\r\n`), address: undefined })),
  fc.tuple(bytes(4, 4), bytes(8, 8), bytes(0, 600)).map(([source, others, tlvs]) => ({
    header: v2({ rest: Buffer.concat([source, others, tlvs]) }),
    address: source.join('.'),
  })),
  fc.tuple(bytes(16, 16), bytes(20, 20), bytes(0, 600)).map(([source, others, tlvs]) => ({
    header: v2({ family: 0x21, rest: Buffer.concat([source, others, tlvs]) }),
    address: canonicalV6(source.toString('hex').match(/.{4}/g)?.join(':') ?? ''),
  })),
  bytes(0, 600).map((rest) => ({ header: v2({ family: 0x00, rest }), address: undefined })),
  fc.tuple(bytes(0, 100), fc.integer({ min: 0, max: 255 })).map(([rest, family]) => ({
    header: v2({ command: 0x20, family, rest }),
    address: undefined,
  })),
)

describe('a PROXY header', () => {
  it('is read to its end, and no further', () => {
    fc.assert(
      fc.property(headers, bytes(0, 40), ({ header, address }, after) => {
        const found = readProxyHeader(Buffer.concat([header, after]))
        expect(found).toEqual({ kind: 'header', length: header.length, address })
      }),
    )
  })

  it('is awaited, however little of it has arrived', () => {
    fc.assert(
      fc.property(headers, fc.nat(), ({ header }, cut) => {
        const part = header.subarray(0, cut % header.length)
        expect(readProxyHeader(part)).toEqual({ kind: 'incomplete' })
      }),
    )
  })

  it('is awaited up to 4112 bytes, whatever arrives', () => {
    const starts = fc.constantFrom(Buffer.alloc(0), SIGNATURE, Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '))
    fc.assert(
      fc.property(starts, bytes(4112, 4200), (start, rest) => {
        expect(readProxyHeader(Buffer.concat([start, rest])).kind).not.toBe('incomplete')
      }),
    )
  })

  it.each<readonly [what: string, text: string, problem: string]>([
    ['TCP4 with an IPv6 address', 'TCP4 ::1 ::1 1 2', 'an address'],
    ['TCP6 with an IPv4 address', 'TCP6 192.0.2.1 192.0.2.2 1 2', 'an address'],
    ['a zone', 'TCP6 fe80::1%eth0 ::1 1 2', 'an address'],
    ['a number for an address', 'TCP4 1 192.0.2.2 1 2', 'an address'],
    ['one port', 'TCP4 192.0.2.1 192.0.2.2 1', 'two ports'],
    ['three ports', 'TCP4 192.0.2.1 192.0.2.2 1 2 3', 'two ports'],
    ['a port beyond 65535', 'TCP4 192.0.2.1 192.0.2.2 1 65536', 'two ports'],
    ['a port with a zero in front', 'TCP4 192.0.2.1 192.0.2.2 01 2', 'two ports'],
    ['two spaces', 'TCP4  192.0.2.1 192.0.2.2 1 2', 'an address'],
    ['UDP as the protocol', 'UDP4 192.0.2.1 192.0.2.2 1 2', 'the protocol'],
    ['the protocol in lower case', 'tcp4 192.0.2.1 192.0.2.2 1 2', 'the protocol'],
    ['nothing after its first word', '', 'the protocol'],
    // Property names that every JavaScript object has.
    ...Object.getOwnPropertyNames(Object.prototype).map((name) => [name, `${name} a b 1 2`, 'the protocol'] as const),
  ])('of version 1 with %s is malformed', (_what, text, problem) => {
    const found = readProxyHeader(Buffer.from(`PROXY ${text}\r\n`))
    expect(found).toEqual({ kind: 'malformed', problem: expect.stringContaining(problem) as string })
  })

  it('of version 1 is at most 107 bytes long', () => {
    const line = (length: number) => Buffer.from('PROXY UNKNOWN '.padEnd(length - 2, 'x') + '\r\n')
    expect(readProxyHeader(line(107))).toMatchObject({ kind: 'header', length: 107 })
    expect(readProxyHeader(line(108))).toMatchObject({ kind: 'malformed' })
  })

  it.each([
    ['another version', { command: 0x11 }, 'the command'],
    ['another command', { command: 0x22 }, 'the command'],
    ['UDP', { family: 0x12 }, 'not of TCP'],
    ['a UNIX socket', { family: 0x31, rest: Buffer.alloc(216) }, 'not of TCP'],
    ['less than two IPv4 addresses', { rest: Buffer.alloc(11) }, 'too short'],
    ['less than two IPv6 addresses', { family: 0x21, rest: Buffer.alloc(35) }, 'too short'],
    ['more than 4096 bytes after its fixed part', { rest: Buffer.alloc(4097) }, 'longer'],
  ])('of version 2 with %s is malformed', (_what, header, problem) => {
    expect(readProxyHeader(v2(header))).toEqual({
      kind: 'malformed',
      problem: expect.stringContaining(problem) as string,
    })
  })

  it.each([
    ['a TLS record', Buffer.from([22, 3, 1, 0, 2, 1, 0])],
    ['a plain HTTP request', Buffer.from('GET / HTTP/1.1\r\n')],
    ['bytes that begin with 0x0102030405060708', Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9])],
  ])('is missing if %s arrives', (what, first) => {
    expect(readProxyHeader(first)).toEqual({ kind: 'missing' })
    expect(describeFirstBytes(first)).toBe(what)
  })

  it('is recognised by its version', () => {
    expect(describeFirstBytes(v2({}))).toBe('a PROXY header of version 2')
    expect(describeFirstBytes(Buffer.from('PROXY TCP4 '))).toBe('a PROXY header of version 1')
    expect([proxyVersionOf(Buffer.from('PRO')), proxyVersionOf(Buffer.from('PRA'))]).toEqual(['maybe', undefined])
  })
})
