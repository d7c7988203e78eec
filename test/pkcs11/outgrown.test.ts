import { afterAll, describe, expect, it } from 'vitest'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, recorder, ref, sleep, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'
import { startTraffic } from './support/traffic.ts'

const hsm = softHsm()
afterAll(() => hsm.remove())

/** Longer than five seconds, the interval at which hosts are weighed. The first weighing sets a host's reference. */
const ASKED_MS = 5500
/** Long enough for further attempts to log in, if there were any. */
const AGAIN_MS = 2000
/** More than the allowed growth of a host (test/pkcs11/memory-watch). */
const LEAK = 'C_WrapKey leak 0x5000000 once'

interface Running {
  readonly adapter: Pkcs11Adapter
  readonly recorded: ReturnType<typeof recorder>
  readonly faults: FaultModule
}

/** Each test has a token and a module of its own. */
async function running(token: string, sessions: number, work: (running: Running) => Promise<void>): Promise<void> {
  const faults = faultModule(hsm, token)
  hsm.initToken(token)
  onToken(token, (objects) => objects.aes('aes'))
  const recorded = recorder()
  // A virtual machine may take a second to fill this much memory.
  const options = hsm.options(token, { module: faults.path, sessions, callTimeoutMs: 10_000 })
  const adapter = await open(options, recorded.report)
  try {
    await until('every host serves', () => adapter.hosts.length === sessions)
    await adapter.qualify(ref('aes'), context())
    await sleep(ASKED_MS)
    await work({ adapter, recorded, faults })
  } finally {
    faults.script()
    await adapter.close()
  }
}

describe.concurrent('a host whose module does not give memory back', () => {
  it('is replaced when it has grown, and there are never fewer hosts', async () => {
    await running('replaced', 2, async ({ adapter, recorded, faults }) => {
      const before = adapter.hosts
      const traffic = startTraffic(adapter, 8, 10_000)
      faults.script(LEAK)
      let fewest = 2
      await until('the host is replaced', () => {
        fewest = Math.min(fewest, adapter.hosts.length)
        return adapter.hosts.length === 2 && adapter.hosts.some((pid) => !before.includes(pid))
      })
      const { good, wrong, errors } = await traffic.stop()
      const [outgrown, ...others] = recorded.of('hsm_host_outgrown')
      expect({ fewest, wrong, errors, others }).toEqual({ fewest: 2, wrong: 0, errors: [], others: [] })
      expect(good).toBeGreaterThan(0)
      expect(outgrown?.fields['grownMiB']).toBeGreaterThanOrEqual(64)
      expect(before.filter((pid) => !adapter.hosts.includes(pid))).toEqual([outgrown?.fields['pid']])
      expect(recorded.of('hsm_host_lost')).toEqual([])
    })
  })

  it('serves on if the token has no room for another, and only one login is tried', async () => {
    await running('full', 1, async ({ adapter, recorded, faults }) => {
      const before = adapter.hosts
      const wrap = () => adapter.wrap(ref('aes'), 'A256KW', Buffer.alloc(32, 7), context())
      faults.script(LEAK)
      await wrap()
      faults.logins()
      faults.script('C_Login rv 0x31')
      await until('it has grown', () => recorded.of('hsm_host_outgrown').length > 0)
      let logins = 0
      await until('a login is tried', () => (logins += faults.logins()) > 0)
      await sleep(AGAIN_MS)
      expect(logins + faults.logins()).toBe(1)
      expect(await wrap()).toHaveLength(40)
      expect(adapter.hosts).toEqual(before)
    })
  })
})
