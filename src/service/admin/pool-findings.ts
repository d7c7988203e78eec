import type { Finding } from './finding.ts'
import { quantile, type Span } from './history.ts'
import type { Look, PoolLook } from './look.ts'
import { sum } from '../../gateway/status.ts'
import { percent } from './words.ts'

/** The thresholds are those of deploy/prometheus/rules.yaml. */
const MAX_FAILED_SHARE = 0.01
const AZURE_WAITS = 0.25
const QUIET_MS = 15 * 60_000
const CLIENT_DAYS = 30

const GATEWAY_OWNER = 'whoever runs this gateway'
const BACKEND_OWNER = 'the HSM or key manager, or the network to it'

/** What is wrong with pools. */
export const poolFindings = (look: Look): Finding[] =>
  look.pools.flatMap((pool) => [
    ...notServed(pool),
    ...failing(pool),
    ...refusedClients(pool),
    ...late(pool),
    ...silent(pool, look.uptime),
    ...keys(pool),
    ...clients(pool),
  ])

function notServed({ name, ready, reason = '', backend }: PoolLook): Finding[] {
  if (ready) return []
  const advice = `see what is said of the backend ${backend}; if other gateways serve the pool, have the balancer ask /readyz?pool=NAME`
  return [of(name, 'critical', `it cannot be served: ${reason}`, BACKEND_OWNER, advice, 'EkmPoolNotServed')]
}

/** Why uses of keys fail: whose turn it is, and where to go on. */
const causes: Readonly<Record<string, readonly [turn: string, advice: string, runbook: string]>> = {
  BACKEND_UNAVAILABLE: [BACKEND_OWNER, 'see what is said of the backend', 'EkmBackendDown'],
  DEADLINE_EXCEEDED: [
    BACKEND_OWNER,
    'compare backend_ms with total_ms in the records: it is slow, or requests wait for their turn',
    'EkmDeadlineShare',
  ],
  BACKEND_BUSY: [
    GATEWAY_OWNER,
    'more is asked than a backend or the pool may take: see ekm_rejected_total, and the limits',
    'EkmFailures',
  ],
  INTERNAL: [GATEWAY_OWNER, 'this is a bug: report the event internal_error with its stack', 'EkmFailures'],
}

function failing({ name, minute, fiveMinutes, ready }: PoolLook): Finding[] {
  // Of one that cannot be served it is told already why.
  if (!ready || !isFailing(fiveMinutes)) return []
  const [reason = ''] = fiveMinutes.reasons.find(([one]) => one in causes) ?? []
  const [turn, advice, runbook] = causes[reason] ?? [GATEWAY_OWNER, 'see the reasons below', 'EkmFailures']
  const share = percent(fiveMinutes.failed, sum(fiveMinutes.durations))
  const found = `${share} of the uses of its keys failed in the last 5 minutes${reason === '' ? '' : `, mostly ${reason}`}`
  if (isFailing(minute)) return [of(name, 'critical', found, turn, advice, runbook)]
  return [of(name, 'warning', `${found}; in the last minute they did not`, turn, advice, runbook)]
}

const refusals: ReadonlySet<string> = new Set(['CLIENT_NOT_ALLOWED', 'CERTIFICATE_REFUSED'])

function refusedClients({ name, fiveMinutes }: PoolLook): Finding[] {
  const refused = fiveMinutes.reasons.filter(([reason]) => refusals.has(reason))
  if (refused.length === 0) return []
  const words = refused.map(([reason, count]) => `${count} × ${reason}`).join(', ')
  const advice =
    'if it is Azure, its certificate has changed and the allow-list has not: run check with --azure-certificate; if not, block the address'
  const found = `clients were refused in the last 5 minutes: ${words}`
  return [of(name, 'warning', found, GATEWAY_OWNER, advice, 'EkmAuthenticationFailures')]
}

function late({ name, fiveMinutes }: PoolLook): Finding[] {
  if ((quantile(0.95, fiveMinutes.durations) ?? 0) <= AZURE_WAITS) return []
  const advice = 'set limits.deadlineMs to 200, and look at the processors of this host and at the backend'
  const found = 'one of twenty uses took longer than the 250 ms that Azure waits'
  return [of(name, 'critical', found, GATEWAY_OWNER, advice, 'EkmLatency')]
}

/** Azure's heartbeat comes three times a minute. */
function silent({ name, quarter }: PoolLook, uptime: number): Finding[] {
  if (uptime < QUIET_MS || quarter.calls > 0) return []
  const advice = 'check name, port and firewall from outside; ask Azure: az keyvault ekm-connection check'
  const found = 'nobody has called it in 15 minutes, not even for Azure’s heartbeat'
  return [of(name, 'warning', found, 'Azure, or the network from there to here', advice, 'EkmNoOperations')]
}

function keys({ name, keys: all }: PoolLook): Finding[] {
  const unusable = all.filter(({ usable }) => usable === false)
  const problem = unusable[0]?.problem
  const tell = (some: typeof all, found: string, owner: string, advice: string, runbook: string): Finding[] =>
    some.length === 0 ? [] : [of(name, 'warning', found, owner, advice, runbook)]
  const differ = all.filter(({ standby }) => standby === 'different')
  const unproven = all.filter(({ standby }) => standby === 'unproven')
  return [
    ...tell(
      unusable,
      `${named(unusable)} cannot be used${problem === undefined ? '' : ` (${problem})`}`,
      BACKEND_OWNER,
      'enable or restore it; if nothing is wrapped under it any more, take it off the list',
      'EkmKeysUnusable',
    ),
    ...tell(
      differ,
      `the standby of ${named(differ)} holds another key, and is not used`,
      GATEWAY_OWNER,
      'compare the two ref settings, and restore the right key into the standby',
      'EkmStandbyDiffers',
    ),
    ...tell(
      unproven,
      `the standby of ${named(unproven)} could not be compared yet, and wraps nothing`,
      BACKEND_OWNER,
      'read the event standby_unproven: it says which backend could not answer',
      'EkmStandbyUnproven',
    ),
  ]
}

const named = (some: PoolLook['keys']): string =>
  some.length > 3 ? `${some.length} keys` : some.map(({ name }) => `the key ${name}`).join(', ')

function clients({ name, clients: all }: PoolLook): Finding[] {
  return all
    .filter(({ days }) => days < CLIENT_DAYS)
    .map(({ client, days }) =>
      of(
        name,
        'warning',
        `the certificate of ${client} ${days < 0 ? 'has expired' : `ends in ${Math.floor(days)} days`}`,
        'Microsoft, which renews it',
        'look for refused clients; if less than a week is left, open a case with Microsoft',
        'EkmClientCertificateExpires',
      ),
    )
}

const of = (
  pool: string,
  level: Finding['level'],
  found: string,
  turn: string,
  advice: string,
  runbook: string,
): Finding => ({ subject: `pool ${pool}`, level, found, turn, advice, runbook })

/** Whether the uses of its keys failed more often than an operator wants to sleep through. */
export const isFailing = ({ failed, durations }: Span): boolean => failed > MAX_FAILED_SHARE * sum(durations)
