import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AdapterError, type KeyAdapter } from '../../../adapters/contract/index.ts'
import { openBackend } from '../../../src/backends/index.ts'
import { latencyStatus } from '../../../src/commands/check/latency.ts'
import { nearMiss } from '../../../src/commands/check/near-miss.ts'
import { callWithin, TooSlow, within } from '../../../src/commands/check/time-limit.ts'
import { aesKey } from '../../support/gateway.ts'
import { checkFile, expectLine, inDays, makeSite, type Site } from './site.ts'

let site: Site
beforeAll(async () => {
  const keys = [
    aesKey('aes-1'),
    { ...aesKey('off'), enabled: false },
    { ...aesKey('ends-soon'), expires: inDays(12) },
    { ...aesKey('ends-later'), expires: inDays(90) },
    aesKey('Master'),
    aesKey('master'),
    { ...aesKey('aes-2'), expires: inDays(-1) },
  ]
  site = await makeSite(['backend.open', 'key'], keys)
  await site.workspace.write('wrong', 'not the passphrase\n')
})
afterAll(() => site.workspace.remove())

const withKeys = (keys: unknown) => ({ pools: [{ ...site.pool, keys }] })

describe('check, asked for the keys of a software store,', () => {
  it('reads all of them, and reports the fault of each', async () => {
    const checked = await site.check(withKeys('all'))
    expectLine(checked, 'key.found', 'ok', { found: /AES key of 256 bits/, subject: 'contoso/aes-1' })
    expectLine(checked, 'key.found', 'problem', {
      found: /not in use: off is disabled/,
      subject: 'contoso/off',
      command: /^\S.* keys enable off --config .*gateway\.yaml --backend store$/,
    })
    expectLine(checked, 'key.found', 'problem', { found: /aes-2 has expired/, subject: 'contoso/aes-2' })
    expectLine(checked, 'key.expiry', 'warning', { found: /12 days left/, subject: 'contoso/ends-soon' })
    expectLine(checked, 'key.expiry', 'ok', { found: /90 days left/, subject: 'contoso/ends-later' })
    expectLine(checked, 'key.near-miss', 'warning', { found: /the backend also has Master/, subject: 'contoso/master' })
    expectLine(checked, 'key.near-miss', 'ok', { found: /no key has nearly this name/, subject: 'contoso/aes-1' })
    expectLine(checked, 'key.unique', 'ok', { found: /no other key has the name aes-1/, subject: 'contoso/aes-1' })
  })

  it('reads none where none is listed', async () => {
    const checked = await site.check(withKeys({}), { only: ['backend.latency'] })
    expectLine(checked, 'backend.latency', 'not checked', { found: /no key can be used/, advice: /^$/ })
  })

  it.each([
    ['the passphrase is wrong', { passphrase: { file: 'wrong' } }, /passphrase does not decrypt/],
    ['there is no such store', { directory: 'nowhere' }, /there is no key store at/],
  ] as const)('reports that %s', async (_what, settings, found) => {
    const store = { kind: 'software', directory: 'keys', passphrase: { file: 'passphrase' }, ...settings }
    const checked = await site.check({ backends: { store }, ...withKeys({ 'aes-1': {} }) })
    expectLine(checked, 'backend.open', 'problem', { found, subject: 'store' })
    expect(checked.text).not.toContain('not the passphrase')
  })
})

describe('check sees a backend’s fault that no real backend shows on command:', () => {
  /** A real adapter with changed members and without an inspection. */
  const checkWith = async (
    change: (adapter: KeyAdapter) => Partial<KeyAdapter>,
    only: readonly string[],
    changes = {},
  ) =>
    checkFile(await site.write({ ...withKeys({ 'aes-1': {} }), ...changes }), { only }, async (_settings, report) => {
      const store = {
        kind: 'software',
        directory: site.workspace.path('keys'),
        passphrase: await passphrase(),
        concurrency: 1,
        queue: 1,
      } as const
      const adapter = await openBackend(store, report)
      const bound = {
        product: adapter.product,
        describe: adapter.describe.bind(adapter),
        wrap: adapter.wrap.bind(adapter),
        unwrap: adapter.unwrap.bind(adapter),
        probe: adapter.probe.bind(adapter),
        close: adapter.close.bind(adapter),
      }
      return { ...bound, ...change(bound) }
    })

  /** The settings of an HSM whose answers come from the test. */
  const token = { kind: 'pkcs11', module: '/module.so', token: { label: 'ekm' } }

  const passphrase = async () => {
    const { loadBackends } = await import('../../../src/config/load.ts')
    const { store } = loadBackends(await site.write({}, 'store.yaml'), {})
    if (store?.kind !== 'software') throw new Error('no software store')
    return store.passphrase
  }

  it('unwrap gives back another value than was wrapped', async () => {
    const checked = await checkWith(() => ({ unwrap: async () => randomBytes(32) }), ['key'])
    expectLine(checked, 'key.round-trip', 'problem', {
      found: /^A256KW: unwrapping gave other bytes than were wrapped/,
    })
  })

  it('the backend fails in the middle of a burst', async () => {
    let calls = 0
    const busy = () => new AdapterError('BACKEND_BUSY', 'no capacity')
    const checked = await checkWith(
      (adapter) => ({ wrap: (...args) => (++calls > 10 ? Promise.reject(busy()) : adapter.wrap(...args)) }),
      ['backend.latency'],
    )
    expectLine(checked, 'backend.latency', 'problem', { found: /^A256KW with contoso\/aes-1: 3 calls .*BACKEND_BUSY/ })
  })

  it('the backend has fewer sessions than were asked for', async () => {
    const facts = async () => ({ fields: { sessions: 2, openSessions: 2, maxSessions: 2 } })
    const ways = async () => []
    const backends = { store: { ...token, sessions: 8 } }
    const checked = await checkWith(() => ({ inspection: { facts, ways } }), ['backend.sessions'], {
      backends,
      ...withKeys({}),
    })
    expectLine(checked, 'backend.sessions', 'warning', { found: /2 of 8 sessions are open; the token allows 2/ })
  })

  it('the backend is too slow for its ways to be found out, which is no verdict and no success', async () => {
    const facts = async () => ({ fields: {} })
    const reason = 'a call of the PKCS#11 module did not return within 1000 ms'
    const ways = async () => [
      { algorithm: 'A256KWP', undecided: true, rejected: [{ way: 'C_Encrypt', reason }] } as const,
    ]
    const checked = await checkWith(() => ({ inspection: { facts, ways } }), ['key'], {
      backends: { store: token },
    })
    expectLine(checked, 'key.way', 'problem', {
      found: /A256KWP: it is not known .* did not return/,
      advice: /callTimeoutMs/,
    })
  })

  it('the backend reports no ways', async () => {
    const checked = await checkWith(() => ({}), ['key'])
    expectLine(checked, 'key.way', 'not checked', { found: /does not say/, advice: /^$/ })
    expect(checked.all('key.round-trip', 'ok')).toHaveLength(2)
  })
})

it.each([
  [100, 200, 'ok'],
  [101, 200, 'warning'],
  [200, 200, 'warning'],
  [201, 200, 'problem'],
] as const)('check judges %i ms under a deadline of %i ms as %s', (slowest, deadline, status) => {
  expect(latencyStatus(slowest, deadline)).toBe(status)
})

it.each([
  ['aes-1', 'aes-1', undefined],
  ['aes-1', 'AES-1', /case/],
  ['aes-1', 'aes_1', /punctuation/],
  ['aes-1', 'aes1', /punctuation/],
  ['aes-1', 'aes-2', /character/],
  ['kek', 'kekk', /character/],
  ['kek', 'ke', /character/],
  ['kek', 'kk', /character/],
  ['kek', 'abc', undefined],
  ['kek', 'kekkek', undefined],
] as const)('check finds the key names %s and %s alike by: %s', (wanted, name, why) => {
  if (why === undefined) expect(nearMiss(wanted, name)).toBeUndefined()
  else expect(nearMiss(wanted, name)).toMatch(why)
})

describe('the time limit of a check’s step', () => {
  it('ends the step, whatever it waits for', async () => {
    await expect(within(20, new Promise(() => undefined))).rejects.toThrow(TooSlow)
    await expect(callWithin(20, () => new Promise(() => undefined))).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    })
  })

  it('disposes of a result after the limit', async () => {
    const late = new Uint8Array(4).fill(7)
    const slow = new Promise<Uint8Array>((resolve) => setTimeout(() => resolve(late), 60))
    await expect(within(20, slow, (value) => value.fill(0))).rejects.toThrow(TooSlow)
    await slow
    expect([...late]).toEqual([0, 0, 0, 0])
  })
})
