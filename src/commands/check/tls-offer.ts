import type { X509Certificate } from 'node:crypto'
import type { Findings } from './findings.ts'
import { handshake, type Agreed, type Address } from './handshake.ts'
import { climb, type Chain } from './server-chain.ts'
import { isSelfIssued, nameOf } from './x509.ts'

const wanted = ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256'] as const
const others = ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_8_SHA256'] as const

export async function checkTls(
  address: Address,
  chain: Chain | undefined,
  findings: Findings,
  who: string,
): Promise<void> {
  const best = await handshake(address, { minVersion: 'TLSv1.3' })
  if ('refused' in best) {
    findings.problem('tls.version', `TLS 1.3 is refused (${best.refused})`, { advice: 'Azure speaks TLS 1.3 only' })
    return
  }
  // Old suites need a client that is less strict than OpenSSL's default.
  const older = { minVersion: 'TLSv1', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
  const old = await handshake(address, older)
  if ('refused' in old) findings.ok('tls.version', `${who} TLS 1.3, and refuses what is older (${old.refused})`)
  else {
    findings.problem('tls.version', `${who} ${old.protocol} too`, {
      advice: 'the gateway itself does not do that: make whatever stands in front of it pass TLS through',
    })
  }
  await checkSuites(address, findings, who)
  checkSent(best, chain, findings)
}

async function checkSuites(address: Address, findings: Findings, who: string): Promise<void> {
  const offered: string[] = []
  for (const name of [...wanted, ...others]) {
    const result = await handshake(address, { minVersion: 'TLSv1.3', ciphers: name })
    if (!('refused' in result)) offered.push(name)
  }
  const missing = wanted.filter((name) => !offered.includes(name))
  const more = others.filter((name) => offered.includes(name))
  const fields = { offered: offered.join(' ') }
  if (missing.length > 0) {
    const advice = 'Azure requires both suites: find out whether the gateway itself answers, and which OpenSSL it uses'
    findings.problem('tls.suites', `${missing.join(' and ')} is refused`, { fields, advice })
  } else if (more.length > 0) {
    const advice =
      'the gateway itself offers only the two suites of the API: make whatever stands in front of it pass TLS through'
    findings.warning('tls.suites', `${who} ${more.join(' and ')} too`, { fields, advice })
  } else findings.ok('tls.suites', `${who} ${offered.join(' and ')}`, { fields })
}

function checkSent({ chain: sent }: Agreed, chain: Chain | undefined, findings: Findings): void {
  // A root need not be sent, and Node.js does not show a certificate that is out of order.
  const needed =
    chain === undefined ? [] : climb(chain[0], chain.slice(1)).filter((one) => one === chain[0] || !isSelfIssued(one))
  const missing = needed.find(({ fingerprint256 }) => sent.every((other) => other.fingerprint256 !== fingerprint256))
  if (missing === undefined) findings.ok('tls.chain', inWords(sent))
  else {
    findings.problem(
      'tls.chain',
      `the server does not send ${nameOf(missing)} of the file; it sends ${inWords(sent)}`,
      {
        advice: 'reload the gateway (SIGHUP) if the file is newer; remove certificates that do not belong to the chain',
      },
    )
  }
}

const inWords = (chain: readonly X509Certificate[]) =>
  `${chain.length === 1 ? 'one certificate' : `${chain.length} certificates`}: ${chain.map(nameOf).join(', ')}`
