import { counter, gauge, type AlertCase, type Course } from './timeline.ts'

const from = (quiet: number, fault: number): Course => ({ quiet, burst: fault, sustained: fault })
/** The values are 0 except during the fault. */
const only = (fault: number) => from(0, fault)

const target = 'job="ekm-gateway",instance="gateway-1"'
const pool = `${target},pool="contoso"`
const backend = `${target},backend="hsm"`
const requests = (status: number, operation = 'wrapkey') =>
  `ekm_requests_total{${pool},operation="${operation}",status="${status}"}`
const refused = (name: string, reason: string) =>
  `ekm_authentication_failures_total{${target},pool="${name}",reason="${reason}"}`
const READY = `ekm_pool_ready{${pool}}`
const certificate = `ekm_certificate_days_left{${target},role="server",subject="CN=ekm.contoso.com"}`

/**
 * Every alert with the fault that it must detect. `burst` says whether one sample of the first fault ever is enough.
 */
export const alertCases: readonly AlertCase[] = [
  ...[408, 429, 500, 502, 503].map((status): AlertCase => ({
    alert: 'EkmFailures',
    of: String(status),
    series: { [requests(200)]: counter(from(10, 10)), [requests(status)]: counter(only(5)) },
    burst: true,
  })),
  {
    alert: 'EkmFailures',
    of: 'a pool that nobody asked before',
    series: { [requests(200)]: counter(only(0)), [requests(502)]: counter(only(1)) },
    burst: true,
  },
  {
    alert: 'EkmAuthenticationFailures',
    of: 'a pool',
    series: { [refused('contoso', 'ISSUER_UNKNOWN')]: counter(only(1)) },
    burst: true,
  },
  {
    alert: 'EkmAuthenticationFailures',
    of: 'a client in its handshake, and not of scanners',
    series: {
      [refused('', 'CERT_HAS_EXPIRED')]: counter(only(1)),
      [refused('', 'NO_CERTIFICATE')]: counter(from(9, 9)),
    },
    burst: true,
  },
  {
    alert: 'EkmLatency',
    series: {
      [requests(200)]: counter(from(10, 10)),
      [`ekm_slow_requests_total{${pool},operation="wrapkey"}`]: counter({ quiet: 0, burst: 50, sustained: 1 }),
    },
    burst: true,
  },
  { alert: 'EkmCertificateExpires', series: { [certificate]: gauge(from(80, 29)) }, burst: true },
  { alert: 'EkmCertificateExpiresSoon', series: { [certificate]: gauge(from(29, 6)) }, burst: true },
  {
    alert: 'EkmClientCertificateExpires',
    of: 'whatever a gateway saw long ago',
    series: {
      [`ekm_client_certificate_days_left{${pool},client="c"}`]: gauge(from(80, 29)),
      [`ekm_client_certificate_days_left{job="ekm-gateway",instance="gateway-2",pool="contoso",client="c"}`]: gauge(
        from(3, 3),
      ),
    },
    burst: true,
  },
  {
    alert: 'EkmNoOperations',
    of: 'a heartbeat that ends; one sample without it is none',
    series: { [requests(200, 'info')]: counter(from(1, 0)), [READY]: gauge(from(1, 1)) },
    burst: false,
  },
  {
    alert: 'EkmNoOperations',
    of: 'a heartbeat that is refused',
    series: {
      [requests(200, 'info')]: counter(from(1, 0)),
      [requests(401, 'info')]: counter(only(1)),
      [READY]: gauge(from(1, 1)),
    },
    burst: false,
  },
  { alert: 'EkmTimeouts', series: { [requests(408, 'unwrapkey')]: counter(only(3)) }, burst: true },
  { alert: 'EkmGatewayDown', series: { [`up{${target}}`]: gauge(from(1, 0)) }, burst: false },
  { alert: 'EkmPoolNotServed', series: { [READY]: gauge(from(1, 0)) }, burst: false },
  { alert: 'EkmBackendDown', series: { [`ekm_backend_up{${backend}}`]: gauge(from(1, 0)) }, burst: false },
  {
    alert: 'EkmSessionsLost',
    series: {
      [`ekm_backend_connections{${backend}}`]: gauge(from(3, 2)),
      [`ekm_backend_connections_wanted{${backend}}`]: gauge(from(4, 4)),
    },
    burst: false,
  },
  { alert: 'EkmHsmHostsLost', series: { [`ekm_hsm_hosts_lost_total{${backend}}`]: counter(only(3)) }, burst: true },
  { alert: 'EkmTokenChanged', series: { [`ekm_hsm_tokens_changed_total{${backend}}`]: counter(only(1)) }, burst: true },
  { alert: 'EkmLoginRefused', series: { [`ekm_logins_refused_total{${backend}}`]: counter(only(1)) }, burst: true },
  {
    alert: 'EkmDeadlineShare',
    series: { [requests(200)]: counter(from(10, 10)), [requests(408)]: counter({ quiet: 0, burst: 50, sustained: 2 }) },
    burst: true,
  },
  { alert: 'EkmStandbyUnproven', series: { [`ekm_standbys_unproven{${pool}}`]: gauge(only(1)) }, burst: false },
  { alert: 'EkmStandbyDiffers', series: { [`ekm_standbys_different{${pool}}`]: gauge(only(1)) }, burst: true },
  {
    alert: 'EkmKeysUnusable',
    series: {
      [`ekm_keys_listed{${pool}}`]: gauge(from(3, 3)),
      [`ekm_keys_usable{${pool}}`]: gauge(from(3, 2)),
      [READY]: gauge(from(1, 1)),
    },
    burst: false,
  },
  {
    alert: 'EkmUnwrapsRefused',
    of: 'what is asked to be unwrapped, and not of what else is refused',
    series: { [requests(400, 'unwrapkey')]: counter(only(1)), [requests(400)]: counter(from(1, 1)) },
    burst: true,
  },
  { alert: 'EkmReloadFailed', series: { [`ekm_last_reload_successful{${target}}`]: gauge(from(1, 0)) }, burst: true },
  { alert: 'EkmWorkersLost', series: { [`ekm_workers_lost_total{${target}}`]: counter(only(1)) }, burst: true },
  {
    alert: 'EkmLogLinesDropped',
    series: { [`ekm_log_lines_dropped_total{${target}}`]: counter(only(1)) },
    burst: true,
  },
  {
    alert: 'EkmCrlExpires',
    series: { [`ekm_crl_time_left_ratio{${pool},issuer="an issuing CA"}`]: gauge(from(0.9, 0.2)) },
    burst: true,
  },
  {
    alert: 'EkmCrlExpired',
    series: { [`ekm_crl_days_left{${pool},issuer="an issuing CA"}`]: gauge(from(0.5, -0.1)) },
    burst: true,
  },
  { alert: 'EkmCrlGap', series: { [`ekm_crl_gaps{${pool}}`]: gauge(from(0, 1)) }, burst: true },
]
