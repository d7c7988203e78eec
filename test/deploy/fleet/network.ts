import { execFileSync } from 'node:child_process'
import { component } from '../support/component.ts'

/** RFC 2544 reserves 198.18.0.0/15 for tests of network devices, so that no machine should use these addresses. */
const NETWORK = '198.18.20.'
export const hosts = {
  'gateway-1': `${NETWORK}11`,
  'gateway-2': `${NETWORK}12`,
  balancer: `${NETWORK}10`,
} as const
export type HostName = keyof typeof hosts

/** Addresses of the clients, which are on this machine. */
export const clients = { azure: `${NETWORK}1`, other: `${NETWORK}2`, restarted: `${NETWORK}3` } as const

/** A balancer's configuration with these gateways in place of the example's. */
export const withAddresses = (configuration: string) => configuration.replaceAll('192.0.2.', NETWORK)

const BRIDGE = 'ekm-fleet'
/** The name of the namespace and of the bridge's end of its cable. */
const named = (host: HostName) => `ekm-${host}`

const ip = (...args: readonly string[]) =>
  execFileSync(component('/usr/sbin/ip', 'iproute2'), args, { encoding: 'utf8', stdio: 'pipe' })

/** Separate hosts: network namespaces that are each connected to one bridge by a cable. It needs root. */
export class Network {
  constructor() {
    this.remove()
    if (ip('-oneline', 'route').includes(NETWORK)) throw new Error(`this machine has ${NETWORK}0/24 already`)
    ip('link', 'add', BRIDGE, 'type', 'bridge')
    for (const address of Object.values(clients)) ip('address', 'add', `${address}/24`, 'dev', BRIDGE)
    ip('link', 'set', BRIDGE, 'up')
    for (const host of Object.keys(hosts) as HostName[]) connect(host)
  }

  /** The beginning of a command line that runs on a host. */
  on(host: HostName): readonly [string, ...string[]] {
    return ['/usr/sbin/ip', 'netns', 'exec', named(host)]
  }

  /** Pulls the cable, or plugs it in again. Nobody is notified: packets are lost silently. */
  cut(host: HostName, isCut: boolean): void {
    ip('link', 'set', named(host), isCut ? 'down' : 'up')
  }

  /** Removes the hosts, including those that a killed run has left. */
  remove(): void {
    const there = ip('netns', 'list')
    for (const host of Object.keys(hosts) as HostName[]) {
      // The cable must go at once, and not with the last process of the namespace.
      if (hasLink(named(host))) ip('link', 'delete', named(host))
      if (new RegExp(`^${named(host)}\\b`, 'm').test(there)) ip('netns', 'delete', named(host))
    }
    if (hasLink(BRIDGE)) ip('link', 'delete', BRIDGE)
  }
}

const hasLink = (name: string) => ip('-oneline', 'link', 'show').includes(`: ${name}`)

function connect(host: HostName): void {
  const name = named(host)
  ip('netns', 'add', name)
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
  ip('link', 'set', name, 'master', BRIDGE, 'up')
  ip('-netns', name, 'address', 'add', `${hosts[host]}/24`, 'dev', 'eth0')
  for (const link of ['lo', 'eth0']) ip('-netns', name, 'link', 'set', link, 'up')
}
