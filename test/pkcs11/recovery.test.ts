import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdapterError, Secret } from '../../adapters/contract/index.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, contextUntil, recorder, ref, sleep, until } from './support/harness.ts'
import { PIN, softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'
import { startTraffic } from './support/traffic.ts'

const hsm = softHsm()
let faults: FaultModule

beforeAll(() => {
  faults = faultModule(hsm)
})
afterAll(() => hsm.remove())

const RECOVERY_MS = 2000
const DEADLINE_MS = 200
const deadline = () => new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed')

interface Running {
  readonly adapter: Pkcs11Adapter
  readonly recorded: ReturnType<typeof recorder>
}

let tokens = 0
let token = ''
beforeEach(() => {
  faults.script()
  hsm.hideTokens(false)
  token = `recovery-${++tokens}`
  hsm.initToken(token)
  onToken(token, (objects) => objects.aes('aes'))
})

async function running(sessions: number, work: (running: Running) => Promise<void>): Promise<void> {
  const recorded = recorder()
  const options = hsm.options(token, { module: faults.path, sessions, callTimeoutMs: 1000 })
  const adapter = await open(options, recorded.report)
  try {
    await until('every host serves', () => adapter.hosts.length === sessions)
    // The qualification is done, so that what follows counts the calls of the operation alone.
    await adapter.qualify(ref('aes'), context())
    await work({ adapter, recorded })
  } finally {
    faults.script()
    hsm.hideTokens(false)
    await adapter.close()
  }
}

const dek = randomBytes(32)
const wrap = (adapter: Pkcs11Adapter, within = context()) => adapter.wrap(ref('aes'), 'A256KW', dek, within)
const works = (adapter: Pkcs11Adapter) =>
  wrap(adapter, context(1000)).then(
    () => true,
    () => false,
  )

describe('a host that dies', () => {
  it.each(['SIGKILL', 'SIGSEGV'] as const)('of %s under load costs no call while another serves', async (signal) => {
    await running(2, async ({ adapter, recorded }) => {
      const traffic = startTraffic(adapter, 8, 5000)
      await sleep(200)
      const [victim = 0] = adapter.hosts
      process.kill(victim, signal)
      await until(
        'the host is replaced',
        () => adapter.hosts.length === 2 && !adapter.hosts.includes(victim),
        RECOVERY_MS,
      )
      await sleep(200)
      const { good, wrong, errors } = await traffic.stop()
      expect(errors).toEqual([])
      expect(wrong).toBe(0)
      expect(good).toBeGreaterThan(50)
      expect(recorded.of('hsm_host_lost')[0]?.fields['reason']).toContain(signal)
    })
  })

  it('alone comes back within 2 s', async () => {
    await running(1, async ({ adapter }) => {
      process.kill(adapter.hosts[0] ?? 0, 'SIGKILL')
      await sleep(20)
      expect(await until('service is back', () => works(adapter), RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
    })
  })

  it('by a call that crashes the module is replaced, and the call is answered by another', async () => {
    await running(2, async ({ adapter }) => {
      faults.script('C_WrapKey crash 0 once')
      await expect(wrap(adapter)).resolves.toHaveLength(40)
      await until('the host is replaced', () => adapter.hosts.length === 2, RECOVERY_MS)
    })
  })

  it('by a call that crashes the module every time takes no more than two hosts with it', async () => {
    await running(2, async ({ adapter, recorded }) => {
      faults.script('C_WrapKey crash 0')
      await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
      expect(recorded.of('hsm_host_lost')).toHaveLength(2)
      faults.script()
      await until('service is back', () => works(adapter), RECOVERY_MS)
    })
  })
})

describe('a call that hangs', () => {
  it('costs its caller the deadline, and nobody else anything', async () => {
    await running(2, async ({ adapter, recorded }) => {
      const traffic = startTraffic(adapter, 4, 800)
      await sleep(100)
      faults.script('C_WrapKey hang 0 once')
      await sleep(1500)
      const { good, wrong, errors } = await traffic.stop()
      expect(errors).toHaveLength(1)
      expect(errors[0]).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
      expect(wrong).toBe(0)
      expect(good).toBeGreaterThan(100)
      await until('the capacity is back', () => adapter.hosts.length === 2, RECOVERY_MS)
      expect(recorded.of('hsm_host_lost')[0]?.fields['reason']).toContain('did not return')
    })
  })

  it('in every host at once ends, and service comes back by itself', async () => {
    await running(2, async ({ adapter }) => {
      faults.script('C_WrapKey hang 0')
      const calls = Array.from({ length: 6 }, () => wrap(adapter, contextUntil(DEADLINE_MS, deadline())))
      const start = performance.now()
      for (const call of await Promise.allSettled(calls)) {
        expect(call).toMatchObject({ status: 'rejected', reason: { code: 'DEADLINE_EXCEEDED' } })
      }
      expect(performance.now() - start).toBeLessThan(DEADLINE_MS + 150)
      faults.script()
      await until('service is back', () => works(adapter), 1000 + RECOVERY_MS)
    })
  })
})

describe('a token that is slow', () => {
  it('is not asked twice for what waits behind a slow call', async () => {
    await running(2, async ({ adapter }) => {
      faults.script('C_WrapKey log 0', 'C_WrapKey delay 40')
      const traffic = startTraffic(adapter, 12, 5000)
      // That all calls are slow is to be learnt first.
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

describe('the token', () => {
  it('that goes away and returns is used again within 2 s of its return', async () => {
    await running(2, async ({ adapter }) => {
      faults.script('C_CreateObject rv 0x32', 'C_GetTokenInfo rv 0xe0')
      hsm.hideTokens(true)
      await expect(wrap(adapter)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: 0x32 })
      await until('it is known to be gone', () => adapter.hosts.length === 0)
      await until('calls fail at once', async () => {
        const start = performance.now()
        const error = await wrap(adapter).catch((thrown: unknown) => thrown)
        expect(error).toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
        return performance.now() - start < 20
      })
      await expect(adapter.probe(context())).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
      await sleep(2500)
      faults.script()
      hsm.hideTokens(false)
      expect(await until('service is back', () => works(adapter), RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
      await until('with all its capacity', () => adapter.hosts.length === 2)
    })
  })

  it('that another process initialises again is used again, with handles found afresh', async () => {
    await running(2, async ({ adapter }) => {
      const before = await wrap(adapter)
      hsm.initToken(token)
      await until('the key is gone with it', () =>
        wrap(adapter).then(
          () => false,
          (error: unknown) => error instanceof AdapterError && error.code === 'KEY_NOT_FOUND',
        ),
      )
      onToken(token, (objects) => objects.aes('aes'))
      expect(await until('the new key is used', () => works(adapter), RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
      const after = await wrap(adapter)
      expect(Buffer.compare(after, before)).not.toBe(0)
      const unwrapped = adapter.unwrap(ref('aes'), 'A256KW', before, context())
      await expect(unwrapped).rejects.toMatchObject({ code: 'CIPHERTEXT_INVALID' })
    })
  })

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
      await until('service is back', () => works(adapter), RECOVERY_MS)
    })
  })
})

describe('a host that is lost while it waits for its turn to log in', () => {
  it('does not keep the others from theirs', async () => {
    await running(2, async ({ adapter }) => {
      const [first = 0, second = 0] = adapter.hosts
      faults.script('C_Login delay 700', 'C_CreateObject rv 0xb3 once')
      process.kill(first, 'SIGKILL')
      await until('the other serves alone', () => adapter.hosts.length === 1)
      // Its successor is logging in, slowly; the other loses its session and has to wait for that.
      await sleep(300)
      const call = wrap(adapter).catch(() => undefined)
      await until('the other renews its session', () => adapter.hosts.length === 0)
      process.kill(second, 'SIGKILL')
      await call
      faults.script()
      await until('every host serves again', () => adapter.hosts.length === 2, 700 + RECOVERY_MS)
    })
  })
})

describe('a token that fails while it is first opened', () => {
  const attempt = () => open(hsm.options(token, { module: faults.path, sessions: 1 }), () => undefined)

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
  it('has the hosts started afresh, which costs no call', async () => {
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
      await until(
        'every host is another',
        async () => {
          expect(await missing()).toMatchObject({ code: 'KEY_NOT_FOUND' })
          return adapter.hosts.length === 2 && adapter.hosts.every((pid) => !before.includes(pid))
        },
        5000 + RECOVERY_MS,
      )
      looking = false
      await load
      expect(wraps).toBeGreaterThan(100)
      // Not again so soon.
      const after = adapter.hosts
      await missing()
      await sleep(500)
      expect(adapter.hosts).toEqual(after)
    })
  })
})

describe('the PIN', () => {
  const wrongPin = { reason: expect.stringContaining('CKR_PIN_INCORRECT') as unknown }

  it('that is wrong is tried once at the start', async () => {
    faults.logins()
    const adapter = open(
      hsm.options(token, { module: faults.path, sessions: 4, pin: new Secret(Buffer.from('111111')) }),
      () => undefined,
    )
    await expect(adapter).rejects.toMatchObject({ name: 'OperatorError', code: 'LOGIN_REFUSED' })
    await sleep(300)
    expect(faults.logins()).toBe(1)
  })

  it('that is no longer right is tried once, while the sessions that are left serve on', async () => {
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

  it.each(['0xa3', '0xa4', '0xa0'])('refused with %s when a session is renewed is not tried again', async (rv) => {
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
  })

  it('is nowhere in what a host can be asked for by others', async () => {
    process.env['EKM_TEST_PIN'] = PIN
    await running(1, async ({ adapter, recorded }) => {
      const pid = adapter.hosts[0] ?? 0
      for (const file of ['environ', 'cmdline']) expect(readFileSync(`/proc/${pid}/${file}`, 'utf8')).not.toContain(PIN)
      expect(JSON.stringify(recorded.reported)).not.toContain(PIN)
    })
    delete process.env['EKM_TEST_PIN']
  })
})
