import { BlockList, isIP, isIPv6 } from 'node:net'
import * as v from 'valibot'
import { plainAddress } from '../base/plain-address.ts'

/** What comes before the IPv4 address in a mapped one. */
const MAPPED_BITS = 96

const NETWORK_RULE = 'must be an IP address or a network, such as 10.0.0.7, 10.0.0.0/8 or "fd00::/8"'

/** An IP address, or a network in CIDR notation. */
export const network = () =>
  v.pipe(
    v.string(NETWORK_RULE),
    v.check((text) => parse(text) !== undefined, NETWORK_RULE),
  )

/** Matches any of `networks`, which the configuration has validated. */
export function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const { address, prefix, family } of networks.flatMap((text) => parse(text) ?? [])) {
    list.addSubnet(address, prefix, family)
  }
  return list
}

function parse(text: string) {
  const [address = '', length, ...more] = text.split('/')
  const bits = isIPv6(address) ? 128 : 32
  if (isIP(address) === 0 || address.includes('%') || more.length > 0) return undefined
  if (length !== undefined && (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > bits)) return undefined
  const prefix = Number(length ?? bits)
  const plain = plainAddress(address)
  // Clients are told by their plain address, so a mapped network is one of IPv4.
  if (plain !== address && prefix >= MAPPED_BITS)
    return { address: plain, prefix: prefix - MAPPED_BITS, family: 'ipv4' as const }
  return { address, prefix, family: bits === 128 ? ('ipv6' as const) : ('ipv4' as const) }
}
