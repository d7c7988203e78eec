import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findingsOf, verdictOf } from '../../src/service/admin/findings.ts'
import type { Look } from '../../src/service/admin/look.ts'
import { contentSecurityPolicy, statusPage } from '../../src/service/admin/page/document.ts'
import { backendOf, lookOf, NIGHT, poolOf, spanOf } from './look.ts'

const render = async (look: Look) => String(await statusPage(look))
const runbooks = readFileSync(new URL('../../docs/runbooks.md', import.meta.url), 'utf8')
const onePool = (more: Parameters<typeof poolOf>[0]) => lookOf({ pools: [poolOf(more)] })
const down = backendOf({ up: false, ready: false, downSince: NIGHT - 60_000 })

describe('the first words of the status page', () => {
  const rows: readonly (readonly [string, Look, string])[] = [
    ['all is well', lookOf(), 'Azure is being served'],
    ['Azure has not called', onePool({ sinceCall: undefined }), 'Azure can be served, and has not called yet'],
    [
      'no pool is ready',
      onePool({ ready: false, reason: 'the backend hsm is not ready' }),
      'Azure is not being served',
    ],
    [
      'one pool of two is not',
      lookOf({ pools: [poolOf(), poolOf({ name: 'fabrikam', ready: false })] }),
      'Azure is served in part: 1 of 2 pools cannot be served',
    ],
    [
      'calls fail',
      onePool({ minute: spanOf({ 1: 10 }, { failed: 5 }), fiveMinutes: spanOf({ 1: 10 }, { failed: 5 }) }),
      'Azure is being served, but calls fail',
    ],
    [
      'the server’s certificate has expired',
      lookOf({ certificates: [{ role: 'server', subject: 'CN=x', days: -1 }] }),
      'Azure is not being served: the server certificate has expired',
    ],
    [
      'an issuer of the server’s certificate has expired, and Azure has never called',
      { ...onePool({ sinceCall: undefined }), certificates: [{ role: 'server_chain', subject: 'CN=x', days: -1 }] },
      'Azure is not being served: the server certificate has expired',
    ],
    ['something is about to fail', lookOf({ logLinesLost: 3 }), 'Azure is being served; something needs a look'],
    ['it drains', lookOf({ draining: true }), 'The gateway is about to stop'],
    ['no process answers', lookOf({ processes: [], pools: [] }), 'No process of the gateway answers'],
  ]
  it.each(rows)('when %s', async (_when, look, says) => {
    expect(verdictOf(look, findingsOf(look)).says).toBe(says)
    expect(await render(look)).toContain(`<span id="verdict">${says}</span>`)
  })
})

describe('what to do', () => {
  const gap = { issuer: 'an issuing CA', certificates: 'client', reason: 'MISSING' }
  const uncovered = lookOf({ listGaps: [{ pool: 'contoso', gaps: [gap, { ...gap, issuer: 'another' }] }] })
  const failed = (reason: string) => {
    const span = spanOf({ 1: 100 }, { failed: 50, reasons: [[reason, 50]] })
    return onePool({ minute: span, fiveMinutes: span })
  }
  const unusable = { name: 'old', usable: false, problem: 'KEY_DISABLED', ways: [] } as const
  const keyWith = (standby: 'unproven' | 'different') =>
    onePool({ keys: [{ name: 'kek', usable: true, ways: [], standby }] })
  const givenUp = backendOf({
    up: false,
    away: true,
    givenUp: true,
    events: [
      { at: NIGHT, level: 'error', event: 'backend_given_up', text: 'reason: LOGIN_REFUSED, message: no', times: 1 },
    ],
  })
  const exchanged = backendOf({
    events: [
      { at: NIGHT, level: 'error', event: 'hsm_token_changed', text: 'token: x, serial: 2, before: 1', times: 1 },
    ],
  })
  const certificate = (days: number) => lookOf({ certificates: [{ role: 'server', subject: 'CN=x', days }] })
  const refusedReload = (code: string) =>
    lookOf({ configuration: { since: 0, lastReload: { at: NIGHT, problem: 'x', code } } })
  const givenUpKmip = backendOf({
    up: false,
    away: true,
    givenUp: true,
    events: [
      {
        at: NIGHT,
        level: 'error',
        event: 'backend_given_up',
        text: 'reason: KMIP_LOGIN_REFUSED, message: no',
        times: 1,
      },
    ],
  })
  const list = (share: number) => lookOf({ lists: [{ pool: 'contoso', issuer: 'CN=ca', days: share * 10, share }] })
  const rows: readonly (readonly [string, Look, string, RegExp])[] = [
    ['a backend that is down', lookOf({ backends: [down] }), 'EkmBackendDown', /whether it is up/],
    ['a PIN that is refused', lookOf({ backends: [givenUp] }), 'EkmLoginRefused', /make sure of the PIN/],
    ['a password that is refused', lookOf({ backends: [givenUpKmip] }), 'EkmLoginRefused', /given_up/],
    ['a reload with a PIN that is refused', refusedReload('LOGIN_REFUSED'), 'EkmLoginRefused', /by no check .*attempt/],
    [
      'a reload with a password that is refused',
      refusedReload('KMIP_LOGIN_REFUSED'),
      'EkmLoginRefused',
      /by no check .*attempt/,
    ],
    [
      'a CA of clients that ends',
      lookOf({ certificates: [{ role: 'client_ca', subject: 'CN=x', days: 3 }] }),
      'EkmCertificateExpiresSoon',
      /ekm-connection certificate show --hsm-name HSM$/,
    ],
    [
      'sessions that are lost',
      lookOf({ backends: [backendOf({ connections: 2 })] }),
      'EkmSessionsLost',
      /hsm_host_lost/,
    ],
    ['another token of the same name', lookOf({ backends: [exchanged] }), 'EkmTokenChanged', /serial number/],
    ['a pool that is not served', onePool({ ready: false, reason: 'why' }), 'EkmPoolNotServed', /the backend hsm/],
    ['answers of 502', failed('BACKEND_UNAVAILABLE'), 'EkmBackendDown', /the backend/],
    ['answers of 408', failed('DEADLINE_EXCEEDED'), 'EkmDeadlineShare', /backend_ms/],
    ['answers of 429', failed('BACKEND_BUSY'), 'EkmFailures', /limits/],
    ['answers of 500', failed('INTERNAL'), 'EkmFailures', /bug/],
    [
      'clients that are refused',
      onePool({ fiveMinutes: spanOf({}, { reasons: [['CLIENT_NOT_ALLOWED', 4]] }) }),
      'EkmAuthenticationFailures',
      /--azure-certificate/,
    ],
    ['answers that are late', onePool({ fiveMinutes: spanOf({ 11: 10 }) }), 'EkmLatency', /deadlineMs/],
    ['a pool that nobody asks', onePool({ quarter: spanOf() }), 'EkmNoOperations', /ekm-connection check/],
    ['a key that cannot be used', onePool({ keys: [unusable] }), 'EkmKeysUnusable', /enable or restore/],
    ['a standby that differs', keyWith('different'), 'EkmStandbyDiffers', /ref/],
    ['a standby that is unproven', keyWith('unproven'), 'EkmStandbyUnproven', /standby_unproven/],
    [
      'a client’s old certificate',
      onePool({ clients: [{ client: 'c', days: 6 }] }),
      'EkmClientCertificateExpires',
      /Microsoft/,
    ],
    ['a certificate of 20 days', certificate(20), 'EkmCertificateExpires', /replace the files/],
    ['a certificate of 3 days', certificate(3), 'EkmCertificateExpiresSoon', /replace the files/],
    ['a list that is due', list(0.1), 'EkmCrlExpires', /ekm-crl/],
    ['a list that is overdue', list(-0.1), 'EkmCrlExpired', /ekm-crl/],
    ['certificates that no list covers', uncovered, 'EkmCrlGap', /check/],
    [
      'a reload that failed',
      lookOf({ configuration: { since: 0, lastReload: { at: NIGHT, problem: 'x' } } }),
      'EkmReloadFailed',
      /validate/,
    ],
    ['a process that is missing', lookOf({ workers: 2 }), 'EkmWorkersLost', /worker_lost/],
    ['a process that was lost', lookOf({ workersLost: 1 }), 'EkmWorkersLost', /worker_lost/],
    ['log lines that are lost', lookOf({ logLinesLost: 1 }), 'EkmLogLinesDropped', /log\.destination/],
  ]
  it.each(rows)('about %s is explained in words, with an existing runbook', async (_what, look, runbook, advice) => {
    const [finding, ...more] = findingsOf(look)
    expect({ ...finding, more }).toMatchObject({ runbook, advice: expect.stringMatching(advice) as string, more: [] })
    expect(runbooks).toContain(`\n## ${runbook}\n`)
    expect(await render(look)).toContain(`runbook ${runbook}`)
  })

  it('is nothing while all is well, in the first quarter of an hour too', () => {
    expect(findingsOf(lookOf())).toEqual([])
    expect(findingsOf({ ...onePool({ quarter: spanOf() }), uptime: 60_000 })).toEqual([])
  })

  it('names what costs requests now first', () => {
    const look = lookOf({ backends: [backendOf({ connections: 1 }), down], logLinesLost: 1 })
    expect(findingsOf(look).map(({ level }) => level)).toEqual(['critical', 'warning', 'warning'])
  })
})

describe('the page', () => {
  it('shows each name as text, whatever its characters', async () => {
    const evil = `<script>alert(1)</script>"'&\u202Egnp.exe\u0000\u2066`
    const look = lookOf({
      pools: [
        poolOf({
          name: evil,
          backend: evil,
          ready: false,
          reason: evil,
          keys: [
            {
              name: evil,
              usable: false,
              problem: evil,
              ways: [{ algorithm: 'A256KW', way: evil, undecided: false, exported: false, since: 0 }],
            },
          ],
          clients: [{ client: evil, days: 3 }],
        }),
      ],
      backends: [
        backendOf({
          name: evil,
          product: evil,
          up: false,
          command: evil,
          events: [{ at: 0, level: 'error', event: 'backend_down', text: evil, times: 1 }],
        }),
      ],
      certificates: [{ role: 'server', subject: evil, days: 1 }],
      lists: [{ pool: evil, issuer: evil, days: 1, share: 0.1 }],
      configuration: { since: 0, lastReload: { at: 0, problem: evil } },
    })
    const text = await render(look)
    expect(text.match(/<script/g)).toHaveLength(1)
    expect(text).not.toContain('alert(1)</')
    expect(text).not.toMatch(/[\u202E\u2066\u0000]/)
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\\u202egnp.exe\\u0000\\u2066')
    // No name can end an attribute early.
    expect([...text.matchAll(/aria-label="([^"]*)"/g)].every(([, label = '']) => !label.includes('<'))).toBe(true)
  })

  it('runs only the script and the style that its policy names', async () => {
    const text = await render(lookOf())
    const hash = (tag: string) => {
      const [, inside = ''] = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(text) ?? []
      return `'sha256-${createHash('sha256').update(inside).digest('base64')}'`
    }
    expect(contentSecurityPolicy).toContain(`script-src ${hash('script')};`)
    expect(contentSecurityPolicy).toContain(`style-src ${hash('style')};`)
    expect(contentSecurityPolicy).toMatch(/^default-src 'none';.*frame-ancestors 'none'$/)
    expect(text).not.toMatch(/\sstyle=|\son\w+=|https?:|<iframe|<img|<form/)
  })

  it('draws the last hour, and describes it in words', async () => {
    const slots = poolOf().slots.map((slot, index) =>
      index < 60 ? spanOf() : index === 70 ? spanOf({ 1: 1 }, { failed: 1 }) : slot,
    )
    const text = await render(onePool({ slots }))
    expect(text).toContain(
      'aria-label="Latency of contoso, last hour: p50 0.8 ms, p95 2 ms, p99 2.4 ms, against the 250 ms',
    )
    expect(text.match(/<rect class="failed"/g)).toHaveLength(1)
    expect(text.match(/<rect class="used"/g)).toHaveLength(2)
    const [, path = ''] = /<path class="p99" d="(M[^"]+)"/.exec(text) ?? []
    expect(path.match(/M/g)).toHaveLength(1)
    expect(path).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('shows twenty of many pools in full, the worst first, and one line for each other pool', async () => {
    const pools = Array.from({ length: 60 }, (_, index) => poolOf({ name: `pool-${index}` }))
    const text = await render(lookOf({ pools: [...pools, poolOf({ name: 'the-worst', ready: false })] }))
    expect(text.match(/<svg/g)).toHaveLength(20)
    expect(text).toContain('<h3 id="pool-0">the-worst</h3>')
    expect(text.match(/<tr><th scope="row">pool-\d+<\/th>/g)).toHaveLength(41)
  })

  it('stays small with a pool of many keys', async () => {
    const keys = Array.from({ length: 50 }, (_, index) => ({ ...poolOf().keys[0], name: `key-${index}`, ways: [] }))
    const text = await render(onePool({ keys, listed: 4000 }))
    expect(text).toContain('<summary>4000 keys</summary>')
    expect(text).toContain('And 3950 more.')
    expect(text).not.toMatch(/<details id="keys-0" open/)
  })
})
