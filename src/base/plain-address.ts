import { isIPv4 } from 'node:net'

/** An address as its owner writes it: to a socket on `::` an IPv4 client is IPv4-mapped (RFC 4291 section 2.5.5.2). */
export function plainAddress(address: string): string {
  // Most are IPv4, and a regular expression is slow to say so.
  if (!address.startsWith('::')) return address
  const [, mapped = ''] = /^::ffff:([\d.]+)$/i.exec(address) ?? []
  return isIPv4(mapped) ? mapped : address
}
