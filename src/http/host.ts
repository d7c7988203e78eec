import { isIPv6 } from 'node:net'

const HOST = /^(?:[\w.-]+|\[([\da-f:.]+)\])(?::(\d*))?$/i
const MAX_PORT = 65_535

/**
 * Whether a text is a host with an optional port, as in a Host header or a URL: a name, an IPv4 address or `[IPv6]`.
 */
export function isHost(text: string): boolean {
  const [match, ipv6, port = ''] = HOST.exec(text) ?? []
  return match !== undefined && (ipv6 === undefined || isIPv6(ipv6)) && Number(port) <= MAX_PORT
}
