import { randomBytes } from 'node:crypto'
import { afterAll, beforeEach } from 'vitest'
import { open, type Pkcs11Adapter } from '../../../adapters/pkcs11/index.ts'
import { faultModule, type FaultModule } from './fault-module.ts'
import { context, recorder, ref, until } from './harness.ts'
import { softHsm, type SoftHsm } from './softhsm.ts'
import { onToken } from './token-objects.ts'

export interface Running {
  readonly adapter: Pkcs11Adapter
  readonly recorded: ReturnType<typeof recorder>
}

interface FreshTokens {
  readonly hsm: SoftHsm
  readonly faults: FaultModule
  /** The label of this test's token. */
  readonly label: () => string
  /** Does `work` with an adapter that has this many sessions on this test's token. The key `aes` is qualified. */
  readonly running: (sessions: number, work: (running: Running) => Promise<void>) => Promise<void>
}

export const dek = randomBytes(32)

export const wrap = (adapter: Pkcs11Adapter, within = context()) => adapter.wrap(ref('aes'), 'A256KW', dek, within)

/** Whether a wrap succeeds within a second. */
export const works = (adapter: Pkcs11Adapter): Promise<boolean> =>
  wrap(adapter, context(1000)).then(
    () => true,
    () => false,
  )

/** For a test file: a new token with the AES key `aes` for each test, behind a module whose faults end with the test. */
export function freshTokens(name: string): FreshTokens {
  const hsm = softHsm()
  const faults = faultModule(hsm)
  let count = 0
  const label = () => `${name}-${count}`
  const heal = () => {
    faults.script()
    hsm.hideTokens(false)
  }
  beforeEach(() => {
    heal()
    count += 1
    hsm.initToken(label())
    onToken(label(), (objects) => objects.aes('aes'))
  })
  afterAll(() => hsm.remove())
  const running: FreshTokens['running'] = async (sessions, work) => {
    const recorded = recorder()
    const options = hsm.options(label(), { module: faults.path, sessions, callTimeoutMs: 1000 })
    const adapter = await open(options, recorded.report)
    try {
      await until('every host serves', () => adapter.hosts.length === sessions)
      // The key is qualified first, so that the calls counted later belong to the operation alone.
      await adapter.qualify(ref('aes'), context())
      await work({ adapter, recorded })
    } finally {
      heal()
      await adapter.close()
    }
  }
  return { hsm, faults, label, running }
}
