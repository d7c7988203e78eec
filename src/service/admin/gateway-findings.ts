import { isLoginRefused } from '../../backends/index.ts'
import { count } from '../../base/words.ts'
import type { Finding } from './finding.ts'
import type { Look } from './look.ts'

const OPERATOR = 'whoever runs this gateway'
const CERTIFICATE_DAYS = 30
const SOON_DAYS = 7
/** What is left of a revocation list's time when it should have been replaced. */
const LIST_SHARE = 0.25

/** What is wrong with the gateway as a whole. */
export const gatewayFindings = (look: Look): Finding[] => [
  ...processes(look),
  ...reload(look),
  ...certificates(look),
  ...lists(look),
  ...listGaps(look),
  ...log(look),
]

const of = (
  level: Finding['level'],
  subject: string,
  found: string,
  advice: string,
  runbook: string,
  turn = OPERATOR,
): Finding => ({ level, subject, found, turn, advice, runbook })

function processes({ processes: all, workers, workersLost }: Look): Finding[] {
  const advice =
    'read the events worker_lost and worker_failed; SIGKILL is often the kernel, which had no memory left (dmesg)'
  if (all.length < workers) {
    const found = `${all.length} of ${workers} processes answer`
    return [of(all.length === 0 ? 'critical' : 'warning', 'gateway', found, advice, 'EkmWorkersLost')]
  }
  if (workersLost === 0) return []
  const found = `${count(workersLost, 'process was', 'processes were')} lost and replaced in the last 15 minutes`
  return [of('warning', 'gateway', found, advice, 'EkmWorkersLost')]
}

const LOGIN_ADVICE =
  'make sure of the PIN or password, write it to its file, and reload (SIGHUP); try it by no check and no restart ' +
  'before: each is an attempt, and a few wrong ones lock it'

function reload({ configuration: { lastReload } }: Look): Finding[] {
  if (lastReload?.problem === undefined) return []
  const found = `the configuration that was read last is refused, and the one before is served: ${lastReload.problem}`
  if (isLoginRefused(lastReload.code ?? '')) {
    return [of('warning', 'configuration', found, LOGIN_ADVICE, 'EkmLoginRefused')]
  }
  const advice = 'mend it, and run ekm-gateway config validate --config FILE'
  return [of('warning', 'configuration', found, advice, 'EkmReloadFailed')]
}

function certificates({ certificates: all }: Look): Finding[] {
  return all
    .filter(({ days }) => days < CERTIFICATE_DAYS)
    .map(({ role, subject, days }) => {
      const found = `${subject} ${days < 0 ? 'has expired' : `ends in ${Math.floor(days)} days`}`
      const advice = role.startsWith('kmip')
        ? "have the key manager's owner issue another, and replace the files"
        : role === 'client_ca'
          ? 'get the list of CAs from Azure anew: az keyvault ekm-connection certificate show --hsm-name HSM'
          : 'replace the files; they are read within seconds'
      const runbook = days < SOON_DAYS ? 'EkmCertificateExpiresSoon' : 'EkmCertificateExpires'
      return of(days < 0 ? 'critical' : 'warning', `certificate ${role}`, found, advice, runbook)
    })
}

function lists({ lists: all }: Look): Finding[] {
  return all
    .filter(({ share }) => share < LIST_SHARE)
    .map(({ pool, issuer, days }) => {
      const hours = Math.floor(days * 24)
      const found = `the revocation list of ${issuer} ${days < 0 ? 'is overdue' : `is due in ${hours} hours`}`
      const advice = 'look at the timer that fetches it: systemctl status ekm-crl.timer ekm-crl.service'
      return of('warning', `pool ${pool}`, found, advice, days < 0 ? 'EkmCrlExpired' : 'EkmCrlExpires')
    })
}

function listGaps({ listGaps: all }: Look): Finding[] {
  return all.flatMap(({ pool, gaps: [gap, ...more] }) => {
    if (gap === undefined) return []
    const { issuer, certificates, reason } = gap
    const others = more.length === 0 ? '' : `, nor ${count(more.length, 'other CA', 'other CAs')}`
    const whose = certificates === 'ca' ? 'the CA certificates' : 'the client certificates'
    const found = `no revocation list in use covers ${whose} of ${issuer} (${reason})${others}`
    return [
      of('warning', `pool ${pool}`, found, 'add a list that covers them; ekm-gateway check says more', 'EkmCrlGap'),
    ]
  })
}

function log({ logLinesLost }: Look): Finding[] {
  if (logLinesLost === 0) return []
  const found = `${count(logLinesLost, 'line was', 'lines were')} lost since the start, audit records among them`
  const advice = 'look at the disk of log.destination, or at the program that reads the output'
  return [of('warning', 'log', found, advice, 'EkmLogLinesDropped')]
}
