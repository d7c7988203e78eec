import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { plainAddress } from '../base/plain-address.ts'

/** The beginning of a connection, as far as it has been received. */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | {
      readonly kind: 'header'
      /** The header's length in bytes. The bytes after it are the client's. */
      readonly length: number
      /** The client's address. Undefined if the connection is the balancer's own, or the header has no address. */
      readonly address: string | undefined
    }
  | { readonly kind: 'missing' }
  | { readonly kind: 'malformed'; readonly problem: string }

const V1_START = Buffer.from('PROXY ')
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

/** Bytes including the line break. */
const V1_MAX_BYTES = 107
const V2_FIXED_BYTES = 16
/** Bytes after the fixed part: addresses, and extensions, which are skipped. The protocol would allow 64 KiB. */
const V2_MAX_REST_BYTES = 4096

/**
 * The version of the PROXY header that `bytes` begin with. Undefined if there is none; `maybe` if more bytes are
 * needed.
 */
export function proxyVersionOf(bytes: Buffer): 1 | 2 | 'maybe' | undefined {
  if (beginsWith(bytes, V1_START)) return bytes.length < V1_START.length ? 'maybe' : 1
  if (beginsWith(bytes, V2_START)) return bytes.length < V2_START.length ? 'maybe' : 2
  return undefined
}

/**
 * Reads a PROXY header, version 1 or 2, which a load balancer sends before the client's bytes
 * (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const version = proxyVersionOf(bytes)
  if (version === undefined) return { kind: 'missing' }
  if (version === 'maybe') return { kind: 'incomplete' }
  return version === 1 ? readV1(bytes) : readV2(bytes)
}

/** Compares as many bytes as both have. */
function beginsWith(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, length, 0, length) === 0
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX_BYTES).indexOf('\r\n')
  if (end === -1) {
    return bytes.length < V1_MAX_BYTES ? { kind: 'incomplete' } : malformed('version 1: longer than 107 bytes')
  }
  const length = end + 2
  const [family = '', ...rest] = bytes.toString('latin1', V1_START.length, end).split(' ')
  // Everything after UNKNOWN must be ignored.
  if (family === 'UNKNOWN') return { kind: 'header', length, address: undefined }
  const isAddress = addressTests.get(family)
  if (isAddress === undefined) return malformed('version 1: the protocol is none of TCP4, TCP6, UNKNOWN')
  const [source = '', destination = '', ...ports] = rest
  if (!isAddress(source) || !isAddress(destination)) return malformed(`version 1: an address is not one of ${family}`)
  if (ports.length !== 2 || !ports.every(isPort)) return malformed('version 1: two ports do not follow the addresses')
  return { kind: 'header', length, address: canonical(source) }
}

const addressTests: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['TCP4', isIPv4],
  // Node.js accepts an IPv6 address with a zone.
  ['TCP6', (text: string) => isIPv6(text) && !text.includes('%')],
])

const isPort = (text: string): boolean => /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535

const VERSION_AND_COMMAND = 12
const FAMILY = 13
const REST_LENGTH = 14
const LOCAL = 0x20
const PROXY = 0x21
const NO_ADDRESSES = { ofAddress: 0, ofAddresses: 0 }
/** Over TCP: the length of both addresses and both ports. */
const families = new Map([
  [0x00, NO_ADDRESSES],
  [0x11, { ofAddress: 4, ofAddresses: 12 }],
  [0x21, { ofAddress: 16, ofAddresses: 36 }],
])

function readV2(bytes: Buffer): ProxyHeader {
  if (bytes.length < V2_FIXED_BYTES) return { kind: 'incomplete' }
  const command = bytes[VERSION_AND_COMMAND]
  if (command !== LOCAL && command !== PROXY) return malformed('version 2: the command is neither LOCAL nor PROXY')
  const rest = bytes.readUInt16BE(REST_LENGTH)
  if (rest > V2_MAX_REST_BYTES) return malformed(`version 2: longer than ${V2_FIXED_BYTES + V2_MAX_REST_BYTES} bytes`)
  // A balancer's own connection has no addresses, whatever its header contains in their place.
  const family = command === LOCAL ? NO_ADDRESSES : families.get(bytes[FAMILY] ?? -1)
  if (family === undefined) return malformed('version 2: the addresses are not of TCP over IPv4 or IPv6')
  if (rest < family.ofAddresses) return malformed('version 2: too short for its addresses')
  const length = V2_FIXED_BYTES + rest
  if (bytes.length < length) return { kind: 'incomplete' }
  const source = bytes.subarray(V2_FIXED_BYTES, V2_FIXED_BYTES + family.ofAddress)
  return { kind: 'header', length, address: source.length === 0 ? undefined : addressIn(source) }
}

function addressIn(source: Buffer): string {
  if (source.length === 4) return source.join('.')
  return canonical(source.toString('hex').replace(/(.{4})(?=.)/g, '$1:'))
}

/** The spelling in which an address is logged. */
const canonical = (address: string): string =>
  isIPv4(address) ? address : plainAddress(new SocketAddress({ address, family: 'ipv6' }).address)

const malformed = (problem: string): ProxyHeader => ({ kind: 'malformed', problem })

/** What came instead of a header, for the log. */
export function describeFirstBytes(bytes: Buffer): string {
  const version = proxyVersionOf(bytes)
  if (typeof version === 'number') return `a PROXY header of version ${version}`
  if (bytes[0] === TLS_HANDSHAKE) return 'a TLS record'
  if (/^[A-Z]{3,8} /.test(bytes.toString('latin1', 0, 9))) return 'a plain HTTP request'
  return `bytes that begin with 0x${bytes.toString('hex', 0, 8)}`
}

const TLS_HANDSHAKE = 22
