import { BlockList, isIP, isIPv6 } from 'node:net'
import * as v from 'valibot'

const NETWORK_RULE = 'must be an IP address or a network, such as 10.0.0.7, 10.0.0.0/8 or "fd00::/8"'

/** An IP address, or a network in CIDR notation. */
export const network = () =>
  v.pipe(
    v.string(NETWORK_RULE),
    v.check((text) => parse(text) !== undefined, NETWORK_RULE),
  )

/** What matches any of `networks`, which the configuration has checked. */
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
  return { address, prefix: Number(length ?? bits), family: bits === 128 ? ('ipv6' as const) : ('ipv4' as const) }
}
