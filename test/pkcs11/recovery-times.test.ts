import { describe, expect, it } from 'vitest'
import { AdapterError } from '../../adapters/contract/index.ts'
import { freshTokens, works, wrap } from './support/fresh-tokens.ts'
import { context, contextUntil, ref, sleep, until } from './support/harness.ts'
import { onToken } from './support/token-objects.ts'
import { startTraffic } from './support/traffic.ts'

// What recovers, and within which time. recovery.test.ts has what a recovery costs.
const { hsm, faults, label, running } = freshTokens('recovery-times')

const RECOVERY_MS = 2000
const DEADLINE_MS = 200
const deadline = () => new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed')

describe('a host that dies', () => {
  it('is replaced within 2 s', async () => {
    await running(2, async ({ adapter }) => {
      const [victim = 0] = adapter.hosts
      process.kill(victim, 'SIGKILL')
      const isReplaced = () => adapter.hosts.length === 2 && !adapter.hosts.includes(victim)
      expect(await until('the host is replaced', isReplaced, RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
    })
  })

  it('and is the only one comes back within 2 s', async () => {
    await running(1, async ({ adapter }) => {
      process.kill(adapter.hosts[0] ?? 0, 'SIGKILL')
      await sleep(20)
      expect(await until('service is back', () => works(adapter), RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
    })
  })

  it('by a call that crashes the module, and is the only one, comes back within 2 s', async () => {
    await running(1, async ({ adapter, recorded }) => {
      faults.script('C_WrapKey crash 0 once')
      await wrap(adapter).catch(() => undefined)
      expect(await until('service is back', () => works(adapter), RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
      expect(recorded.of('hsm_host_lost')).toHaveLength(1)
    })
  })
})

describe('a call that hangs', () => {
  it.each([
    ['quick', []],
    // The key was quick a moment ago: no host may be reserved against it.
    ['slow by now', ['C_WrapKey delay 20']],
  ])('of a key that is %s costs its caller the deadline, and nobody else anything', async (_, slowly) => {
    await running(2, async ({ adapter, recorded }) => {
      const traffic = startTraffic(adapter, 4, 800)
      await sleep(100)
      faults.script(...slowly)
      await sleep(slowly.length * 200)
      faults.script('C_WrapKey hang 0 once', ...slowly)
      await sleep(1500)
      const { good, wrong, errors } = await traffic.stop()
      expect(errors).toHaveLength(1)
      expect(errors[0]).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
      expect(wrong).toBe(0)
      expect(good).toBeGreaterThan(slowly.length === 0 ? 100 : 20)
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

describe('a token', () => {
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

  it('that another process initialises again is used within 2 s, with new handles', async () => {
    await running(2, async ({ adapter }) => {
      const before = await wrap(adapter)
      hsm.initToken(label())
      await until('the key is gone with it', () =>
        wrap(adapter).then(
          () => false,
          (error: unknown) => error instanceof AdapterError && error.code === 'KEY_NOT_FOUND',
        ),
      )
      onToken(label(), (objects) => objects.aes('aes'))
      expect(await until('the new key is used', () => works(adapter), RECOVERY_MS)).toBeLessThan(RECOVERY_MS)
      const after = await wrap(adapter)
      expect(Buffer.compare(after, before)).not.toBe(0)
      const unwrapped = adapter.unwrap(ref('aes'), 'A256KW', before, context())
      await expect(unwrapped).rejects.toMatchObject({ code: 'CIPHERTEXT_INVALID' })
    })
  })
})

describe('a host that is lost while it waits for its turn to log in', () => {
  it('does not keep the others from logging in', async () => {
    await running(2, async ({ adapter }) => {
      const [first = 0, second = 0] = adapter.hosts
      faults.script('C_Login delay 700', 'C_CreateObject rv 0xb3 once')
      process.kill(first, 'SIGKILL')
      await until('the other serves alone', () => adapter.hosts.length === 1)
      // The first host's successor logs in slowly. The second host loses its session and has to wait for that login.
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
