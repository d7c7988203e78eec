import { afterAll, beforeEach } from 'vitest'
import { faultModule, type FaultModule } from './fault-module.ts'
import { softHsm, type SoftHsm } from './softhsm.ts'
import { onToken } from './token-objects.ts'

/** For a test file: the token `ekm` with the AES key `aes`, behind a module whose faults end with each test. */
export function faultyToken(): { readonly hsm: SoftHsm; readonly faults: FaultModule } {
  const hsm = softHsm()
  const faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => objects.aes('aes'))
  beforeEach(() => faults.script())
  afterAll(() => hsm.remove())
  return { hsm, faults }
}
