import * as v from 'valibot'
import {
  isKeyName,
  KEY_NAME_RULE,
  OperatorError,
  rsaSizes,
  type CallSignal,
  type KeyAdministration,
  type KeySpec,
  type KeySummary,
  type KeyValidity,
} from '../../../adapters/contract/index.ts'
import { operatorError, TransitClient } from './client.ts'
import type { TransitOptions } from './options.ts'
import { expected, keyPath, readKey } from './transit-key.ts'

/** Making a 4096-bit RSA key takes seconds. */
const TIMEOUT_MS = 30_000

/** `keys create` and `keys list`. The service keeps no dates, and cannot disable a key. */
export class TransitAdministration implements KeyAdministration {
  readonly #options: TransitOptions

  constructor(options: TransitOptions) {
    this.#options = options
  }

  create(name: string, spec: KeySpec, validity: KeyValidity): Promise<KeySummary> {
    return this.#connected(async (client, signal) => {
      assertSpec(name, spec, validity)
      if ((await namesIn(client, signal)).includes(name)) {
        throw new OperatorError('KEY_EXISTS', `the key service already has a key ${name}; a key is never replaced`)
      }
      await client.ask({ method: 'POST', path: keyPath('keys', name), body: { type: `rsa-${spec.bits}` } }, signal)
      const { created } = await readKey(client, name, signal)
      return { name, ...spec, enabled: true, created }
    })
  }

  list(): Promise<KeySummary[]> {
    return this.#connected(async (client, signal) => {
      const summaries: KeySummary[] = []
      for (const name of (await namesIn(client, signal)).toSorted()) {
        const { description, created } = await readKey(client, name, signal)
        if (description === undefined) continue
        summaries.push({ name, kty: description.kty, bits: description.bits, enabled: true, created })
      }
      return summaries
    })
  }

  async #connected<T>(work: (client: TransitClient, signal: CallSignal) => Promise<T>): Promise<T> {
    const client = new TransitClient(this.#options)
    try {
      return await work(client, AbortSignal.timeout(TIMEOUT_MS))
    } catch (error) {
      throw operatorError(error)
    } finally {
      client.close()
    }
  }
}

function assertSpec(name: string, { kty, bits }: KeySpec, { notBefore, expires }: KeyValidity): void {
  if (!isKeyName(name)) throw new OperatorError('KEY_NAME_INVALID', `a key must be named with ${KEY_NAME_RULE}`)
  if (kty !== 'RSA' || !rsaSizes.some((size) => size === bits)) {
    throw new OperatorError('KEY_SPEC_INVALID', `a key must be RSA of ${rsaSizes.join(', ')} bits`)
  }
  if (notBefore !== undefined || expires !== undefined) {
    throw new OperatorError('KEY_DATES_INVALID', 'the key service does not keep the dates of a key')
  }
}

async function namesIn(client: TransitClient, signal: CallSignal): Promise<string[]> {
  const { status, data } = await client.ask({ method: 'GET', path: 'transit/keys?list=true' }, signal)
  // The service has no dates.
  if (status === 404) return []
  return expected(v.object({ keys: v.array(v.string()) }), data).keys
}
