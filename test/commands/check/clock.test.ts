import { mkdir, utimes } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { expectLine, inDays, makeSite, type Site } from './site.ts'

let site: Site
beforeAll(async () => {
  site = await makeSite(['clock', 'certificate.expiry'])
})
afterAll(() => site.workspace.remove())

it('check says that the clock fits the certificates and the files', async () => {
  expectLine(await site.check(), 'clock.plausible', 'ok', { found: /^\d{4}-.*Z is later than the start/ })
})

it('check reports a clock that is behind the certificates and the files', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: inDays(-2) })
  try {
    const checked = await site.check()
    expectLine(checked, 'clock.plausible', 'warning', {
      found: /certificate client root is valid from/,
      command: /date -u/,
    })
    expectLine(checked, 'certificate.expiry', 'problem', {
      found: /not valid before/,
      subject: 'ekm.example.com',
      advice: /clock/,
    })
  } finally {
    vi.useRealTimers()
  }
})

it('check reports a clock that is behind one file', async () => {
  await utimes(site.workspace.path('passphrase'), new Date(), inDays(1))
  const checked = await site.check()
  await utimes(site.workspace.path('passphrase'), new Date(), new Date())
  expectLine(checked, 'clock.plausible', 'warning', { found: /passphrase was changed on/ })
})

// Systemd reports the kernel's clock. The machine of the tests may have no systemd.
it.each([
  ['echo yes', 'ok', /is synchronised/],
  ['echo no', 'warning', /not synchronised/],
  ['exit 1', 'not checked', /timedatectl is not available/],
] as const)('check reads what timedatectl says: %s', async (script, status, found) => {
  await mkdir(site.workspace.path('bin'), { recursive: true })
  await site.workspace.write('bin/timedatectl', `#!/bin/sh\n${script}\n`, 0o700)
  const path = process.env['PATH'] ?? ''
  process.env['PATH'] = `${site.workspace.path('bin')}:${path}`
  try {
    expectLine(await site.check(), 'clock.synchronised', status, { found })
  } finally {
    process.env['PATH'] = path
  }
  expect(process.env['PATH']).toBe(path)
})
