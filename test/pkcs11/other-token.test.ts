import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { AdapterError } from '../../adapters/contract/index.ts'
import { open, surveyTokens, type Pkcs11Adapter, type Pkcs11Options } from '../../adapters/pkcs11/index.ts'
import { aes256, kw } from '../contract/reference.ts'
import { dek, freshTokens } from './support/fresh-tokens.ts'
import { context, recorder, ref, sleep, until } from './support/harness.ts'
import { onToken } from './support/token-objects.ts'

// A token that has the name of the one before, and is another: a wrong backup, or another slot's.
const { hsm, faults, label } = freshTokens('other-token')

const [before, after] = [randomBytes(32), randomBytes(32)]

/** Two tokens of the same label, each with a key `kek`. The second is seen by hosts that start after `exchange`. */
function twoTokens() {
  onToken(label(), (objects) => objects.aes('kek', {}, before))
  return {
    exchange: () => {
      hsm.showOthers()
      hsm.initSecond(label())
      onToken(label(), (objects) => objects.aes('kek', {}, after))
    },
  }
}

interface Opened {
  readonly adapter: Pkcs11Adapter
  readonly recorded: ReturnType<typeof recorder>
  readonly exchange: () => void
}

async function opened(work: (opened: Opened) => Promise<void>, more: Partial<Pkcs11Options> = {}): Promise<void> {
  const { exchange } = twoTokens()
  const recorded = recorder()
  const options = hsm.options(label(), { module: faults.path, sessions: 2, callTimeoutMs: 1000, ...more })
  const adapter = await open(options, recorded.report)
  try {
    await until('every host serves', () => adapter.hosts.length === options.sessions)
    await adapter.qualify(ref('kek'), context())
    await work({ adapter, recorded, exchange })
  } finally {
    faults.script()
    await adapter.close()
  }
}

const wrapWith = (adapter: Pkcs11Adapter, key: string) => adapter.wrap(ref(key), 'A256KW', dek, context())

/** By which token's key a value was wrapped. */
const wrappedBy = (value: Uint8Array) =>
  [before, after].findIndex((kek) => Buffer.compare(kw(aes256(kek), dek), value) === 0)

describe('another token with the name of the one before', () => {
  it('is told with both serials, and takes the place of the former one in every session at once', async () => {
    await opened(async ({ adapter, recorded, exchange }) => {
      const { serial } = adapter.token
      const changes = () => recorded.of('hsm_token_changed')
      exchange()
      process.kill(adapter.hosts[0] ?? 0, 'SIGKILL')
      const mixed: number[] = []
      let over = false
      const callers = Array.from({ length: 8 }, async () => {
        while (!over) {
          const wasChanged = changes().length > 0
          const value = await wrapWith(adapter, 'kek').catch(() => undefined)
          if (value !== undefined && wasChanged) mixed.push(wrappedBy(value))
          await sleep(5)
        }
      })
      await until('all serve with the other token', () => adapter.hosts.length === 2 && mixed.includes(1))
      await sleep(500)
      over = true
      await Promise.all(callers)
      expect(changes()).toMatchObject([
        { level: 'error', fields: { token: label(), serial: adapter.token.serial, before: serial } },
      ])
      expect(adapter.token.serial).not.toBe(serial)
      expect(new Set(mixed)).toEqual(new Set([1]))
    })
  })

  it('has its keys qualified before they are used, though they look like the former ones', async () => {
    await opened(async ({ adapter, recorded, exchange }) => {
      exchange()
      // The way of the former token is wrong on this one.
      faults.script('C_WrapKey rv 0x70')
      for (const pid of adapter.hosts) process.kill(pid, 'SIGKILL')
      const errors: unknown[] = []
      let value: Uint8Array | undefined
      await until('a key is used', async () => {
        value = await wrapWith(adapter, 'kek').catch((error: unknown) => void errors.push(error))
        return value !== undefined
      })
      expect(wrappedBy(value ?? dek)).toBe(1)
      expect(errors.filter((error) => error instanceof AdapterError && error.detail === 0x70)).toEqual([])
      expect(recorded.of('hsm_token_changed')).toHaveLength(1)
    })
  })

  it('has no key that the configuration wants of the token with its serial', async () => {
    await opened(async ({ adapter, recorded, exchange }) => {
      const name = `pkcs11:serial=${adapter.token.serial};object=kek`
      expect(wrappedBy(await wrapWith(adapter, name))).toBe(0)
      exchange()
      for (const pid of adapter.hosts) process.kill(pid, 'SIGKILL')
      await until('the other token is open', () => recorded.of('hsm_token_changed').length > 0)
      await expect(wrapWith(adapter, name)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
    })
  })

  it('is not opened where the configuration names the serial', async () => {
    const seen = await surveyTokens({ module: faults.path })
    const serial = seen.find((token) => token.label === label())?.serial ?? ''
    await opened(
      async ({ adapter, recorded, exchange }) => {
        exchange()
        for (const pid of adapter.hosts) process.kill(pid, 'SIGKILL')
        await sleep(1000)
        await expect(wrapWith(adapter, 'kek')).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
        expect([adapter.hosts, recorded.of('hsm_token_changed')]).toEqual([[], []])
        hsm.hideTokens(false)
        await until('the right one is back', () =>
          wrapWith(adapter, 'kek').then(
            (value) => wrappedBy(value) === 0,
            () => false,
          ),
        )
      },
      { token: { serial } },
    )
  })

  it('does not get the PIN on a session that was lost', async () => {
    await opened(
      async ({ adapter, recorded }) => {
        faults.script('C_GetTokenInfo serial 0xabc', 'C_CreateObject rv 0xb3 once')
        faults.logins()
        await expect(wrapWith(adapter, 'kek')).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' })
        await until('the other token is open', () => recorded.of('hsm_token_changed').length > 0)
        expect(recorded.of('hsm_session_reopened')).toEqual([])
        expect(faults.logins()).toBe(1)
        expect(adapter.token.serial).toBe('0000000000000abc')
      },
      { sessions: 1 },
    )
  })
})
