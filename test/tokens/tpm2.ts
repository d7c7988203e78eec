import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { Secret } from '../../adapters/contract/index.ts'
import { administer, open } from '../../adapters/pkcs11/index.ts'
import { describeAdapter } from '../contract/suite.ts'
import { context, ref } from '../pkcs11/support/harness.ts'
import { PIN } from '../pkcs11/support/softhsm.ts'
import { contractHarness, putKeys } from '../pkcs11/support/token-kind.ts'
import { describeOutage } from './support/outage.ts'
import { tpm2Tokens } from './support/tpm2.ts'
import { describeWays } from './support/ways.ts'

describeWays(tpm2Tokens, 'tpm2-pkcs11 over swtpm')

it('a TPM 2.0 token serves three RSA keys of its making at once, beside a slow AES key', async () => {
  const token = await tpm2Tokens.make()
  const { module, label } = token
  const options = { module, token: { label }, sessions: 1 }
  const pin = () => new Secret(Buffer.from(PIN))
  try {
    putKeys(token, [{ name: 'aes', material: { kty: 'oct', k: randomBytes(32) } }])
    const administration = await administer({ ...options, pin: pin() })
    const names = ['rsa-1', 'rsa-2', 'rsa-3']
    for (const name of names) {
      const made = await administration.create(name, { kty: 'RSA', bits: 2048 }, {})
      expect(made).toEqual({ name, kty: 'RSA', bits: 2048, enabled: true })
    }
    const adapter = await open({ ...options, pin: pin() }, () => undefined)
    const roundTrip = async (name: string, algorithm: 'A256KWP' | 'RSA-OAEP' | 'RSA-OAEP-256') => {
      const dataKey = randomBytes(32)
      const wrapped = await adapter.wrap(ref(name), algorithm, dataKey, context(30_000))
      const unwrapped = await adapter.unwrap(ref(name), algorithm, wrapped, context(30_000))
      expect(Buffer.compare(unwrapped, dataKey), `${algorithm} with ${name}`).toBe(0)
    }
    try {
      await Promise.all([
        roundTrip('aes', 'A256KWP'),
        ...names.flatMap((name) => [roundTrip(name, 'RSA-OAEP'), roundTrip(name, 'RSA-OAEP-256')]),
      ])
    } finally {
      await adapter.close()
    }
  } finally {
    await token.remove()
  }
})

describeAdapter(contractHarness(tpm2Tokens))
describeOutage(tpm2Tokens)
