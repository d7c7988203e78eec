import { isIPv6 } from 'node:net'

/**
 * The network that identifies one sender: an IPv4 address, or the /64 network of an IPv6 address, because one host has
 * all of it.
 */
export function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.') || !isIPv6(address)) return address
  const [left = '', right = ''] = address.split('::')
  const [start, end] = [left, right].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = address.includes('::') ? 8 - (start?.length ?? 0) - (end?.length ?? 0) : 0
  return [...(start ?? []), ...Array<string>(zeros).fill('0'), ...(end ?? [])].slice(0, 4).join(':')
}
