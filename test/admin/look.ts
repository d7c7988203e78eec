import { SLOTS, type Span } from '../../src/service/admin/history.ts'
import type { BackendLook, Look, PoolLook } from '../../src/service/admin/look.ts'
import { durationBounds } from '../../src/telemetry/duration-histogram.ts'

/** The time of the night at which the operator opens the page. */
export const NIGHT = Date.parse('2026-11-29T03:14:07Z')

/** Key uses, by the bucket of their duration. */
export function spanOf(byBucket: Readonly<Record<number, number>> = {}, more: Partial<Span> = {}): Span {
  const durations = [...durationBounds, Infinity].map((_, bucket) => byBucket[bucket] ?? 0)
  return { calls: durations.reduce((total, one) => total + one, 0), failed: 0, durations, reasons: [], ...more }
}

/** A healthy pool: 60 key uses a minute, most of them within 1 ms. */
export function poolOf(more: Partial<PoolLook> = {}): PoolLook {
  const span = (minutes: number) => spanOf({ 1: 50 * minutes, 2: 9 * minutes, 4: minutes })
  return {
    name: 'contoso',
    ready: true,
    backend: 'hsm',
    listed: 1,
    keys: [
      {
        name: 'kek-2027',
        kind: 'AES 256',
        usable: true,
        ways: [
          { algorithm: 'A256KW', way: 'CKM_AES_KEY_WRAP', undecided: false, exported: false, since: NIGHT - 3600e3 },
        ],
      },
    ],
    clients: [{ client: 'contoso.managedhsmclient.azure.net', days: 200 }],
    sinceCall: 4000,
    minute: span(1),
    fiveMinutes: span(5),
    quarter: span(15),
    hour: span(60),
    slots: Array.from({ length: SLOTS }, () => spanOf({ 1: 25, 2: 5 })),
    ...more,
  }
}

export const backendOf = (more: Partial<BackendLook> = {}): BackendLook => ({
  name: 'hsm',
  kind: 'pkcs11',
  product: 'SoftHSM project, SoftHSM v2',
  up: true,
  away: false,
  ready: true,
  givenUp: false,
  running: 0,
  waiting: 0,
  connections: 4,
  connectionsWanted: 4,
  events: [],
  openAdvice: { LOGIN_REFUSED: 'make sure of the PIN before the next run' },
  command: 'pkcs11-tool --module /usr/lib/hsm.so --list-token-slots',
  tokenChanged: 'hsm_token_changed',
  ...more,
})

/** A healthy gateway that needs no action. */
export const lookOf = (more: Partial<Look> = {}): Look => ({
  now: NIGHT,
  version: '0.1.0',
  uptime: 26 * 3600e3,
  draining: false,
  pools: [poolOf()],
  backends: [backendOf()],
  processes: [
    {
      pid: 17,
      since: NIGHT - 26 * 3600e3,
      memoryBytes: 120 * 2 ** 20,
      requests: 0,
      connections: { allowed: 2, verified: 0, unverified: 1 },
      draining: false,
      logLinesLost: 0,
      pools: [],
      backends: [],
    },
  ],
  workers: 1,
  workersLost: 0,
  configuration: { since: NIGHT - 26 * 3600e3, lastReload: undefined },
  certificates: [{ role: 'server', subject: 'CN=ekm.contoso.example', days: 82 }],
  lists: [],
  listGaps: [],
  logLinesLost: 0,
  ...more,
})
