import { isLoginRefused } from '../../backends/index.ts'
import type { Finding } from './finding.ts'
import { givenUpFor, type BackendLook } from './look.ts'

const OWNER = 'the HSM or key manager, or the network to it'
const OPERATOR = 'whoever runs this gateway'

/** What is wrong with a backend. */
export function backendFindings(backend: BackendLook): Finding[] {
  const { name, up, away, givenUp } = backend
  const subject = `backend ${name}`
  if (givenUp) return [refusedFor(subject, backend)]
  const changed = otherToken(subject, backend)
  if (away || !up) return [unreachable(subject, backend), ...changed]
  return [...lostSessions(subject, backend), ...changed]
}

function refusedFor(subject: string, backend: BackendLook): Finding {
  const { openAdvice, command } = backend
  const reason = givenUpFor(backend) ?? ''
  return {
    level: 'critical',
    subject,
    found: `it could not be opened, and another attempt would help nothing${reason === '' ? '' : ` (${reason})`}`,
    turn: OPERATOR,
    advice: openAdvice[reason] ?? 'read the event backend_given_up below, and mend the configuration',
    ...(command !== undefined && { command }),
    runbook: isLoginRefused(reason) ? 'EkmLoginRefused' : 'EkmBackendDown',
  }
}

function unreachable(subject: string, { away, command }: BackendLook): Finding {
  return {
    level: 'critical',
    subject,
    found: away ? 'it was away when the gateway started, and is tried every second' : 'it does not answer its probe',
    turn: OWNER,
    advice: 'look whether it is up, and whether a firewall stands between; the gateway comes back by itself',
    ...(command !== undefined && { command }),
    runbook: 'EkmBackendDown',
  }
}

/** It stays until other events have taken its place: somebody has to look into it, however well the backend does. */
function otherToken(subject: string, { events, tokenChanged, command }: BackendLook): Finding[] {
  const last = events.find(({ event }) => event === tokenChanged)
  if (last === undefined) return []
  return [
    {
      level: 'warning',
      subject,
      found: `another token has its name (${last.text}): it unwraps what the former one wrapped only if it has the same keys`,
      turn: OWNER,
      advice: 'find out whether that was meant, and name the serial number of the right token in the configuration',
      ...(command !== undefined && { command }),
      runbook: 'EkmTokenChanged',
    },
  ]
}

function lostSessions(subject: string, { connections, connectionsWanted }: BackendLook): Finding[] {
  if (connectionsWanted === undefined || connections > connectionsWanted / 2) return []
  return [
    {
      level: 'warning',
      subject,
      found: `${connections} of ${connectionsWanted} sessions are open: requests wait for those that are left`,
      turn: OWNER,
      advice: 'read hsm_host_lost among its events, and compare sessions with what the HSM allows',
      runbook: 'EkmSessionsLost',
    },
  ]
}
