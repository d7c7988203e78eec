import type { KeyRef } from '../../adapters/contract/index.ts'
import { wrapAlgorithms } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/software/index.ts'
import { temporaryStore } from '../software/fixtures.ts'
import { describeAdapter } from './suite.ts'

describeAdapter({
  name: 'the software store',
  algorithms: wrapAlgorithms,
  canDisable: true,
  dates: ['notBefore', 'expires'],
  start: async (keys) => {
    const { store, remove, ...options } = await temporaryStore()
    for (const { name, material, disabled, ...dates } of keys) {
      const jwk =
        material.kty === 'oct'
          ? ({ kty: 'oct', k: Buffer.from(material.k).toString('base64url') } as const)
          : material.jwk
      await store.add({ name, jwk, enabled: disabled !== true, created: new Date(), ...dates })
    }
    const adapter = await open(options, () => undefined)
    return {
      adapter,
      ref: (name) => name as KeyRef,
      stop: async () => {
        await adapter.close()
        await remove()
      },
    }
  },
})
