import { backendFindings } from './backend-findings.ts'
import type { Finding } from './finding.ts'
import { gatewayFindings } from './gateway-findings.ts'
import type { Look } from './look.ts'
import { poolFindings } from './pool-findings.ts'

/** What to look at, the worst first. */
export function findingsOf(look: Look): Finding[] {
  const all = [...look.backends.flatMap(backendFindings), ...poolFindings(look), ...gatewayFindings(look)]
  return [...all.filter(({ level }) => level === 'critical'), ...all.filter(({ level }) => level === 'warning')]
}

export interface Verdict {
  readonly state: 'good' | 'warning' | 'bad'
  /** Whether Azure is being served. */
  readonly says: string
}

/** Azure completes no handshake with such a gateway. */
const isExpired = ({ role, days }: Look['certificates'][number]): boolean =>
  days < 0 && (role === 'server' || role === 'server_chain')

export function verdictOf({ pools, processes, draining, certificates }: Look, findings: readonly Finding[]): Verdict {
  const away = pools.filter(({ ready }) => !ready).length
  const isFailing = findings.some(({ level }) => level === 'critical')
  if (processes.length === 0) return { state: 'bad', says: 'No process of the gateway answers' }
  if (draining) return { state: 'warning', says: 'The gateway is about to stop' }
  if (away === pools.length) return { state: 'bad', says: 'Azure is not being served' }
  if (certificates.some(isExpired)) {
    return { state: 'bad', says: 'Azure is not being served: the server certificate has expired' }
  }
  if (away > 0) {
    return { state: 'bad', says: `Azure is served in part: ${away} of ${pools.length} pools cannot be served` }
  }
  if (isFailing) return { state: 'bad', says: 'Azure is being served, but calls fail' }
  if (pools.every(({ sinceCall }) => sinceCall === undefined)) {
    return { state: 'good', says: 'Azure can be served, and has not called yet' }
  }
  return findings.length > 0
    ? { state: 'warning', says: 'Azure is being served; something needs a look' }
    : { state: 'good', says: 'Azure is being served' }
}
