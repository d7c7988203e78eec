import { afterAll, beforeAll, expect, it } from 'vitest'
import { open } from '../../adapters/pkcs11/index.ts'
import { context, ref, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()

beforeAll(() => {
  hsm.initToken('ekm')
  onToken('ekm', (objects) => objects.aes('aes'))
})
afterAll(() => hsm.remove())

// SoftHSM 2.6.1 shows no token to a process that starts while another logs in. Workers do this to each other.
it('several gateways that start at once all open the token', async () => {
  const opened = await Promise.all(
    Array.from({ length: 5 }, () => open(hsm.options('ekm', { sessions: 2 }), () => undefined)),
  )
  try {
    for (const adapter of opened) {
      await until('both hosts serve', () => adapter.hosts.length === 2)
      await expect(adapter.wrap(ref('aes'), 'A256KW', new Uint8Array(32), context())).resolves.toHaveLength(40)
    }
  } finally {
    await Promise.all(opened.map((adapter) => adapter.close()))
  }
})
