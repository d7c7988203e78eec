import {
  isKeyName,
  KEY_NAME_RULE,
  OperatorError,
  rsaSizes,
  type KeyAdministration,
  type KeySpec,
  type KeySummary,
  type KeyValidity,
  type Report,
} from '../contract/index.ts'
import { CKK } from './cryptoki/numbers.ts'
import { Ask } from './wire/frames.ts'
import { decodeMessage, encodeMessage, type CreateMessage, type KeyFacts } from './wire/host-protocol.ts'
import { firstDay, lastDay } from './keys/dates.ts'
import { summaryOf } from './keys/token-key.ts'
import { openSupervisor } from './supervisor/open.ts'
import type { Pkcs11Options } from './options.ts'
import type { Supervisor } from './supervisor/supervisor.ts'

/** Milliseconds. An HSM takes tens of seconds to generate an RSA pair of 4096 bits. */
const GENERATE_TIMEOUT_MS = 60_000
/** Milliseconds. One call reads all keys. */
const LIST_TIMEOUT_MS = 30_000

const quiet: Report = () => undefined

/** `keys create` and `keys list` on a token. A running gateway finds a new key by itself. */
export class Pkcs11Administration implements KeyAdministration {
  readonly #options: Pkcs11Options

  constructor(options: Pkcs11Options) {
    this.#options = options
  }

  /**
   * `name` becomes the CKA_LABEL, and the CKA_ID is random. The validity is stored in whole days of UTC, never longer
   * than requested.
   */
  async create(name: string, spec: KeySpec, validity: KeyValidity): Promise<KeySummary> {
    const message = createMessage(name, spec, validity)
    return this.#withToken(true, GENERATE_TIMEOUT_MS, async (supervisor) => {
      const existing = await listFacts(supervisor)
      if (existing.some(({ label }) => label === name)) {
        throw new OperatorError('KEY_EXISTS', `the token already has a key ${name}; a key is never replaced`)
      }
      const facts = await supervisor.call(Ask.create, encodeMessage(message))
      return summaryOf(decodeMessage<KeyFacts>(facts))
    })
  }

  /** AES and RSA keys of any size, by label. A key without a label appears as `id:` and its CKA_ID. */
  async list(): Promise<KeySummary[]> {
    return this.#withToken(false, LIST_TIMEOUT_MS, async (supervisor) =>
      (await listFacts(supervisor))
        .filter((facts) => facts.keyType === (facts.class === 'secret' ? CKK.AES : CKK.RSA))
        .map(summaryOf)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    )
  }

  async #withToken<Result>(
    readWrite: boolean,
    callTimeoutMs: number,
    work: (supervisor: Supervisor) => Promise<Result>,
  ): Promise<Result> {
    const supervisor = await openSupervisor({ ...this.#options, callTimeoutMs }, { readWrite }, quiet)
    try {
      return await work(supervisor)
    } catch (error) {
      if (error instanceof OperatorError) throw error
      const reason = error instanceof Error ? error.message : 'unknown'
      throw new OperatorError('TOKEN_UNUSABLE', `the token did not complete the command: ${reason}`)
    } finally {
      await supervisor.close()
    }
  }
}

const listFacts = async (supervisor: Supervisor) =>
  decodeMessage<KeyFacts[]>(await supervisor.call(Ask.list, new Uint8Array()))

function createMessage(name: string, spec: KeySpec, { notBefore, expires }: KeyValidity): CreateMessage {
  if (!isKeyName(name)) {
    throw new OperatorError(
      'KEY_NAME_INVALID',
      `the key name ${JSON.stringify(name)} is not allowed: use ${KEY_NAME_RULE}`,
    )
  }
  const sizes: readonly number[] = spec.kty === 'oct' ? [256] : rsaSizes
  if (!sizes.includes(spec.bits)) {
    throw new OperatorError(
      'KEY_MATERIAL_INVALID',
      `a key of type ${spec.kty} and ${spec.bits} bits is not allowed: oct keys have 256 bits, RSA keys ${rsaSizes.join(', ')}`,
    )
  }
  const startDate = notBefore && firstDay.fromDate(notBefore)
  const endDate = expires && lastDay.fromDate(expires)
  if (startDate !== undefined && endDate !== undefined && startDate > endDate) {
    throw new OperatorError(
      'KEY_DATES_INVALID',
      'no whole day lies between the two dates, and a token stores only whole days',
    )
  }
  return {
    label: name,
    kty: spec.kty,
    bits: spec.bits,
    ...(startDate !== undefined && { startDate }),
    ...(endDate !== undefined && { endDate }),
  }
}
