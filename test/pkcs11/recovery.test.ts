import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Secret } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/pkcs11/index.ts'
import { freshTokens, works, wrap } from './support/fresh-tokens.ts'
import { context, ref, sleep, until } from './support/harness.ts'
import { PIN } from './support/softhsm.ts'
import { startTraffic } from './support/traffic.ts'

const { hsm, faults, label, running } = freshTokens('recovery')

describe('a host that dies', () => {
  it.each(['SIGKILL', 'SIGSEGV'] as const)('of %s under load costs no call while another serves', async (signal) => {
    await running(2, async ({ adapter, recorded }) => {
      const traffic = startTraffic(adapter, 8, 5000)
      await sleep(200)
      const [victim = 0] = adapter.hosts
      process.kill(victim, signal)
      await until('the host is replaced', () => adapter.hosts.length === 2 && !adapter.hosts.includes(victim))
      await sleep(200)
      const { good, wrong, errors } = await traffic.stop()
      expect(errors).toEqual([])
      expect(wrong).toBe(0)
      expect(good).toBeGreaterThan(10)
      expect(recorded.of('hsm_host_lost')[0]?.fields['reason']).toContain(signal)
    })
  })

  it('by a call that crashes the module is replaced, and the call is answered by another', async () => {
    await running(2, async ({ adapter }) => {
      faults.script('C_WrapKey crash 0 once')
      await expect(wrap(adapter)).resolves.toHaveLength(40)
      await until('the host is replaced', () => adapter.hosts.length === 2)
    })
  })

  it('by a call that crashes the module every time takes no more than two hosts with it', async () => {
    await running(2, async ({ adapter, recorded }) => {
      faults.script('C_WrapKey crash 0')
      await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
      expect(recorded.of('hsm_host_lost')).toHaveLength(2)
      faults.script()
      await until('service is back', () => works(adapter))
    })
  })
})

describe('a token that is slow', () => {
  it('is not asked twice for calls that wait behind a slow one', async () => {
    await running(2, async ({ adapter }) => {
      faults.script('C_WrapKey log 0', 'C_WrapKey delay 40')
      const traffic = startTraffic(adapter, 12, 5000)
      // The adapter has to learn first that all calls are slow.
      await sleep(1000)
      faults.logged('C_WrapKey')
      const before = traffic.outcome.good
      await sleep(2000)
      const asked = faults.logged('C_WrapKey')
      const good = traffic.outcome.good - before
      const { errors, wrong } = await traffic.stop()
      expect({ errors, wrong }).toEqual({ errors: [], wrong: 0 })
      expect(good).toBeGreaterThan(20)
      expect(asked).toBeLessThan(1.3 * good + 2 * 12)
    })
  })
})

describe('a token', () => {
  it('whose sessions are lost gives new ones, and no call is lost with them', async () => {
    await running(2, async ({ adapter, recorded }) => {
      for (const rv of ['0xb3', '0xb0', '0x101', '0x60', '0x82']) {
        faults.script(`C_CreateObject rv ${rv} once`)
        await expect(wrap(adapter)).resolves.toHaveLength(40)
      }
      expect(recorded.of('hsm_session_reopened')).toHaveLength(5)
      expect(recorded.of('hsm_host_lost')).toEqual([])
    })
  })

  it('whose sessions are lost for good fails the call after one more try', async () => {
    await running(1, async ({ adapter }) => {
      faults.script('C_CreateObject rv 0xb3')
      await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: 0xb3 })
      faults.script()
      await until('service is back', () => works(adapter))
    })
  })
})

describe('a token that fails while it is first opened', () => {
  const attempt = () => open(hsm.options(label(), { module: faults.path, sessions: 1 }), () => undefined)

  it.each(['C_Initialize', 'C_OpenSession', 'C_Login'])('in %s, but not again, is opened', async (step) => {
    faults.script(`${step} rv 0x5 once`)
    const adapter = await attempt()
    try {
      await expect(wrap(adapter)).resolves.toHaveLength(40)
    } finally {
      await adapter.close()
    }
  })

  it('again and again is an error for the operator', async () => {
    faults.script('C_OpenSession rv 0x5')
    await expect(attempt()).rejects.toMatchObject({ name: 'OperatorError', code: 'TOKEN_UNUSABLE' })
  })
})

describe('a key that is not found', () => {
  it('causes a restart of the hosts, which costs no call', async () => {
    await running(2, async ({ adapter }) => {
      const before = adapter.hosts
      let wraps = 0
      let looking = true
      const load = (async () => {
        while (looking) {
          expect(await wrap(adapter)).toHaveLength(40)
          wraps += 1
          await sleep(5)
        }
      })()
      const missing = () => adapter.describe(ref('nowhere'), context()).catch((error: unknown) => error)
      await until('every host is another', async () => {
        expect(await missing()).toMatchObject({ code: 'KEY_NOT_FOUND' })
        return adapter.hosts.length === 2 && adapter.hosts.every((pid) => !before.includes(pid))
      })
      looking = false
      await load
      expect(wraps).toBeGreaterThan(10)
      // The hosts are not restarted again so soon.
      const after = adapter.hosts
      await missing()
      await sleep(500)
      expect(adapter.hosts).toEqual(after)
    })
  })
})

describe('the token’s PIN', () => {
  const wrongPin = { reason: expect.stringContaining('CKR_PIN_INCORRECT') as unknown }

  it('that is wrong is tried once at the start', async () => {
    faults.logins()
    const adapter = open(
      hsm.options(label(), { module: faults.path, sessions: 4, pin: new Secret(Buffer.from('111111')) }),
      () => undefined,
    )
    await expect(adapter).rejects.toMatchObject({ name: 'OperatorError', code: 'LOGIN_REFUSED' })
    await sleep(300)
    expect(faults.logins()).toBe(1)
  })

  it('that is no longer right is tried once, while the remaining sessions serve on', async () => {
    await running(2, async ({ adapter, recorded }) => {
      faults.script('C_Login rv 0xa0')
      faults.logins()
      const [victim = 0] = adapter.hosts
      process.kill(victim, 'SIGKILL')
      await until('the login is refused', () => recorded.of('hsm_login_refused').length === 1)
      await sleep(1500)
      expect(faults.logins()).toBe(1)
      expect(recorded.of('hsm_login_refused')[0]?.fields).toMatchObject(wrongPin)
      expect(adapter.hosts).toHaveLength(1)
      await expect(wrap(adapter)).resolves.toHaveLength(40)
      process.kill(adapter.hosts[0] ?? 0, 'SIGKILL')
      await until('none is left', () => adapter.hosts.length === 0)
      await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: 0xa0 })
      expect(faults.logins()).toBe(0)
    })
  })

  it.each(['0xa3', '0xa4', '0xa0'])(
    'that is refused with %s when a session is renewed is not tried again',
    async (rv) => {
      await running(2, async ({ adapter, recorded }) => {
        faults.script('C_CreateObject rv 0x101', `C_Login rv ${rv}`)
        faults.logins()
        for (let call = 0; call < 3; call++) {
          await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
        }
        await sleep(1200)
        expect(faults.logins()).toBe(1)
        expect(recorded.of('hsm_login_refused')).toHaveLength(1)
        await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: Number(rv) })
      })
    },
  )

  it('is nowhere in the data that other processes can read of a host', async () => {
    process.env['EKM_TEST_PIN'] = PIN
    await running(1, async ({ adapter, recorded }) => {
      const pid = adapter.hosts[0] ?? 0
      for (const file of ['environ', 'cmdline']) expect(readFileSync(`/proc/${pid}/${file}`, 'utf8')).not.toContain(PIN)
      expect(JSON.stringify(recorded.reported)).not.toContain(PIN)
    })
    delete process.env['EKM_TEST_PIN']
  })
})
