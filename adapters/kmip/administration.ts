import {
  assertValidity,
  isKeyName,
  KEY_NAME_RULE,
  OperatorError,
  AdapterError,
  rsaSizes,
  type CallSignal,
  type KeyAdministration,
  type KeySpec,
  type KeySummary,
  type KeyValidity,
} from '../contract/index.ts'
import { checkOptions, type KmipOptions } from './options.ts'
import { attribute, type ObjectAttributes } from './protocol/attributes.ts'
import { algorithm, objectType, state, usageMask } from './protocol/numbers.ts'
import { activate, create, createKeyPair, destroy, getAttributes, locate } from './protocol/objects.ts'
import { KmipRefusal } from './protocol/operation.ts'
import { KmipCluster } from './transport/cluster.ts'
import { operatorError, ServerUnreachable } from './transport/unreachable.ts'

const TIMEOUT_MS = 30_000
/** The most objects to ask for in one request. */
const PAGE = 100

/** `keys create` and `keys list` on a key manager. Each command opens new connections. */
export class KmipAdministration implements KeyAdministration {
  readonly #options: KmipOptions

  constructor(options: KmipOptions) {
    checkOptions(options)
    this.#options = options
  }

  async create(name: string, spec: KeySpec, validity: KeyValidity): Promise<KeySummary> {
    assertSpec(name, spec, validity)
    return this.#connected(async (cluster, signal) => {
      await assertUnused(cluster, name, signal)
      const made = await (spec.kty === 'oct' ? createAes : createRsa)(cluster, name, spec.bits, validity, signal)
      for (const id of made) await activateWhenDue(cluster, id, validity, made, signal)
      const [id = ''] = made
      const summary = summaryOf(await cluster.call(getAttributes(id, summarised), signal), name)
      if (summary === undefined)
        throw new OperatorError(
          'KMIP_UNEXPECTED',
          `the server created ${name} with other attributes than were asked for`,
        )
      return summary
    })
  }

  list(): Promise<readonly KeySummary[]> {
    return this.#connected(async (cluster, signal) => {
      const summaries: KeySummary[] = []
      for (const type of [objectType.SymmetricKey, objectType.PrivateKey]) {
        for (const id of await locateAll(cluster, type, signal)) {
          const attributes = await cluster.call(getAttributes(id, summarised), signal)
          for (const name of attributes.names.filter(isKeyName)) {
            const summary = summaryOf(attributes, name)
            if (summary !== undefined) summaries.push(summary)
          }
        }
      }
      return summaries.sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  }

  async #connected<T>(work: (cluster: KmipCluster, signal: CallSignal) => Promise<T>): Promise<T> {
    const cluster = new KmipCluster(this.#options, () => undefined)
    try {
      await cluster.negotiate()
      return await work(cluster, AbortSignal.timeout(TIMEOUT_MS))
    } catch (error) {
      const wrong = operatorError(error)
      if (wrong !== undefined) throw wrong
      if (error instanceof KmipRefusal) {
        throw new OperatorError('KMIP_REFUSED', `the key manager refused: ${error.message}`)
      }
      if (error instanceof AdapterError || error instanceof ServerUnreachable) {
        throw new OperatorError('KMIP_UNAVAILABLE', `the key manager cannot be used: ${error.message}`)
      }
      if (error instanceof DOMException) throw new OperatorError('KMIP_UNAVAILABLE', 'the key manager is too slow')
      throw error
    } finally {
      cluster.close()
    }
  }
}

function assertSpec(name: string, { kty, bits }: KeySpec, validity: KeyValidity): void {
  if (!isKeyName(name)) throw new OperatorError('KEY_NAME_INVALID', `a key must be named with ${KEY_NAME_RULE}`)
  if (kty === 'oct' ? bits !== 256 : !rsaSizes.some((size) => size === bits)) {
    throw new OperatorError('KEY_SPEC_INVALID', `a key must be oct of 256 bits or RSA of ${rsaSizes.join(', ')} bits`)
  }
  assertValidity(validity)
}

/** Servers allow a name twice. The gateway could not tell such keys apart. */
async function assertUnused(cluster: KmipCluster, name: string, signal: CallSignal): Promise<void> {
  const taken = await cluster.call(locate([attribute.name(name)], { maximum: 1 }), signal)
  if (taken.length > 0) throw new OperatorError('KEY_EXISTS', `the key manager already has an object named ${name}`)
}

const datesOf = ({ notBefore, expires }: KeyValidity) => [
  ...(notBefore === undefined ? [] : [attribute.activationDate(notBefore)]),
  ...(expires === undefined ? [] : [attribute.deactivationDate(expires)]),
]

/** Identifiers of the objects that were created, the key itself first. */
type Made = readonly string[]

async function createAes(
  cluster: KmipCluster,
  name: string,
  bits: number,
  validity: KeyValidity,
  signal: CallSignal,
): Promise<Made> {
  const attributes = [
    attribute.algorithm(algorithm.AES),
    attribute.length(bits),
    attribute.usageMask(usageMask.Encrypt | usageMask.Decrypt),
    attribute.name(name),
    ...datesOf(validity),
  ]
  return [await cluster.call(create(attributes), signal)]
}

/** Both halves get the name. Where the server does not link them, the gateway finds the public half by its name. */
async function createRsa(
  cluster: KmipCluster,
  name: string,
  bits: number,
  validity: KeyValidity,
  signal: CallSignal,
): Promise<Made> {
  const { privateKeyId, publicKeyId } = await cluster.call(
    createKeyPair({
      common: [attribute.algorithm(algorithm.RSA), attribute.length(bits), attribute.name(name), ...datesOf(validity)],
      privateKey: [attribute.usageMask(usageMask.Decrypt)],
      publicKey: [attribute.usageMask(usageMask.Encrypt)],
    }),
    signal,
  )
  return [privateKeyId, publicKeyId]
}

/**
 * Activates the object, unless its Activation Date does that. A server that ignores dates would serve a key outside the
 * operator's dates; the new object is then destroyed.
 */
async function activateWhenDue(
  cluster: KmipCluster,
  id: string,
  validity: KeyValidity,
  made: Made,
  signal: CallSignal,
): Promise<void> {
  const asked = ['State', 'ActivationDate', 'DeactivationDate'] as const
  const { state: current, activationDate, deactivationDate } = await cluster.call(getAttributes(id, asked), signal)
  const kept = isKept(validity.notBefore, activationDate) && isKept(validity.expires, deactivationDate)
  if (!kept) {
    for (const object of made) await cluster.call(destroy(object), signal)
    throw new OperatorError('KEY_DATES_INVALID', 'the key manager does not store the dates of a key')
  }
  if (current !== state.Active && validity.notBefore === undefined) await cluster.call(activate(id), signal)
}

const isKept = (wanted: Date | undefined, kept: Date | undefined) =>
  wanted === undefined || (kept !== undefined && Math.abs(kept.getTime() - wanted.getTime()) < 1000)

async function locateAll(cluster: KmipCluster, type: number, signal: CallSignal): Promise<readonly string[]> {
  const ids: string[] = []
  for (;;) {
    const page = { maximum: PAGE, ...(ids.length > 0 && { offset: ids.length }) }
    const found = await cluster.call(locate([attribute.objectType(type)], page), signal)
    const fresh = found.filter((id) => !ids.includes(id))
    ids.push(...fresh)
    // Before KMIP 1.3 there is no offset, and the server returns the same page again.
    if (found.length < PAGE || fresh.length === 0) return ids
  }
}

const summarised = [
  'ObjectType',
  'CryptographicAlgorithm',
  'CryptographicLength',
  'State',
  'InitialDate',
  'ActivationDate',
  'DeactivationDate',
  'Name',
] as const

/** Undefined for an object that is not a key-encryption key. */
function summaryOf(attributes: ObjectAttributes, name: string): KeySummary | undefined {
  const { algorithm: kind, bits, initialDate, activationDate, deactivationDate } = attributes
  const kty = kind === algorithm.AES ? 'oct' : kind === algorithm.RSA ? 'RSA' : undefined
  if (kty === undefined || bits === undefined) return undefined
  return {
    name,
    kty,
    bits,
    enabled: attributes.state === undefined || attributes.state === state.Active,
    ...(initialDate && { created: initialDate }),
    ...(activationDate && { notBefore: activationDate }),
    ...(deactivationDate && { expires: deactivationDate }),
  }
}
