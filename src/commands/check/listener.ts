import { request } from 'node:https'
import { createServer } from 'node:net'
import { systemCode } from '../../../adapters/contract/index.ts'
import type { Config } from '../../config/schema.ts'
import type { Findings } from './findings.ts'
import { handshake, type Address } from './handshake.ts'
import { withOwnListener } from './own-listener.ts'
import type { Chain } from './server-chain.ts'
import { checkTls } from './tls-offer.ts'
import { dayOf, nameOf } from './x509.ts'

const AZURE_PORT = 443
const REQUEST_MS = 3000

/** Checks the port and what TLS offers there. If the gateway does not run yet: what it will offer. */
export async function checkListener(
  config: Config,
  chain: Chain | undefined,
  findings: Findings,
  as: string | undefined,
): Promise<void> {
  const { host, port } = config.listen
  if (port === 0) {
    findings.notChecked('listener.port', 'listen.port is 0: the system chooses a port at each start', {
      advice: `choose a port: Azure calls port ${AZURE_PORT}, and something must forward that to the gateway`,
    })
  } else {
    const code = await tryPort({ host, port })
    if (code === 'EADDRINUSE') {
      if (await checkRunning({ host: reachable(host), port }, chain, findings)) return
    } else if (code === 'EACCES' && as !== undefined) {
      findings.notChecked(
        'listener.port',
        `${as} may not listen on ${host} port ${port} without the service manager's help`,
        {
          fields: { host, port, code },
          advice: 'see that the service gives its process CAP_NET_BIND_SERVICE (AmbientCapabilities)',
        },
      )
    } else tellPort({ host, port }, code, findings)
  }
  await withOwnListener(config, (address) => checkTls(address, chain, findings, 'the gateway will offer'))
}

/**
 * Listens on the port for a moment.
 * @returns the code of the failure, if any
 */
export function tryPort({ host, port }: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error) => resolve(systemCode(error)))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

/** The address at which this machine reaches a listener on `host`. */
const reachable = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host)

function tellPort({ host, port }: Address, code: string | undefined, findings: Findings): void {
  const where = `${host} port ${port}`
  const fields = { host, port }
  switch (code) {
    case undefined:
      findings.ok('listener.port', `${where} is free`, {
        fields,
        ...(port !== AZURE_PORT && {
          advice: `Azure calls port ${AZURE_PORT}: forward that to port ${port}, and pass TLS through`,
        }),
      })
      return
    case 'EACCES':
      findings.problem('listener.port', `this user is not allowed to listen on ${where}`, {
        fields: { ...fields, code },
        advice: 'lower the first unprivileged port, or give the service CAP_NET_BIND_SERVICE',
        command: `sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`,
      })
      return
    case 'EADDRNOTAVAIL':
      findings.problem('listener.port', `this machine does not have the address ${host}`, {
        fields: { ...fields, code },
        advice: 'set listen.host to an address of this machine, or to 0.0.0.0',
        command: 'ip -brief address',
      })
      return
    default:
      findings.problem('listener.port', `cannot listen on ${where} (${code})`, {
        fields: { ...fields, code },
        advice: 'correct listen.host and listen.port',
      })
  }
}

/** @returns whether this gateway answers, so that its TLS offer is worth checking */
async function checkRunning(address: Address, chain: Chain | undefined, findings: Findings): Promise<boolean> {
  const { host, port } = address
  const where = `${host} port ${port}`
  const who = { command: `ss -ltnp 'sport = :${port}'` }
  const stranger = (found: string) => {
    findings.problem('listener.port', `${where} is in use by another program`, {
      advice: 'stop that program, or choose another port',
      ...who,
    })
    findings.problem('listener.running', found, { advice: 'find out which program it is', ...who })
    return false
  }
  const agreed = await handshake(address, { minVersion: 'TLSv1.2' })
  if ('refused' in agreed) return stranger(`the program at ${where} does not speak TLS (${agreed.refused})`)
  const answersAsGateway = await answersAsProxy(address)
  const own = chain?.[0]
  const [sent] = agreed.chain
  if (own !== undefined && sent.fingerprint256 === own.fingerprint256) {
    findings.ok('listener.port', `${where} is in use by a server with this certificate`)
    if (answersAsGateway) findings.ok('listener.running', `a gateway answers at ${where}`)
    else {
      findings.problem('listener.running', `the server at ${where} is not a gateway, though it has this certificate`, {
        advice: 'find out whether something in front of the gateway ends TLS, or another program has the port',
        ...who,
      })
    }
    await checkTls(address, chain, findings, 'the running gateway offers')
    return true
  }
  const other = `${nameOf(sent)}, valid until ${dayOf(new Date(sent.validTo))}`
  if (!answersAsGateway) return stranger(`the server at ${where} is not a gateway; its certificate is ${other}`)
  findings.ok('listener.port', `${where} is in use by a gateway`)
  findings.problem('listener.running', `the gateway at ${where} has another certificate: ${other}`, {
    advice: 'if it is the same gateway, reload it (SIGHUP), and look for reload_failed in its log',
    ...who,
  })
  await checkTls(address, agreed.chain, findings, 'the running gateway offers')
  return true
}

/**
 * Whether a GET is answered with a ProxyError, as every gateway answers it for any client. It adds one line to the
 * gateway's log.
 */
function answersAsProxy({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request({ host, port, path: '/', method: 'GET', agent: false, rejectUnauthorized: false })
    outgoing.setTimeout(REQUEST_MS, () => outgoing.destroy(new Error('no answer')))
    outgoing.on('error', () => resolve(false))
    outgoing.on('response', (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text = (text + chunk).slice(0, 10_000)))
      incoming.on('error', () => resolve(false))
      incoming.on('end', () => resolve(isProxyError(text)))
    })
    outgoing.end()
  })
}

function isProxyError(text: string): boolean {
  try {
    const answer: unknown = JSON.parse(text)
    return (
      typeof answer === 'object' &&
      answer !== null &&
      Object.keys(answer).sort().join() === 'code,message' &&
      Object.values(answer).every((value) => typeof value === 'string')
    )
  } catch {
    return false
  }
}
