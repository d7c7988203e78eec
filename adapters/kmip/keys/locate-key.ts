import { AdapterError, type CallSignal } from '../../contract/index.ts'
import type { ObjectSelector } from '../key-ref.ts'
import { attribute } from '../protocol/attributes.ts'
import { objectType } from '../protocol/numbers.ts'
import { getAttributes, locate } from '../protocol/objects.ts'
import { valueOf, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import type { Requests } from '../transport/requests.ts'
import { isDestroyed } from './key-state.ts'

/** Several objects may have one name. At most this many of each type are examined. */
const MAX_NAMESAKES = 10

const named = (name: string, type: number) =>
  locate([attribute.name(name), attribute.objectType(type)], { maximum: MAX_NAMESAKES })

/** The one key-encryption key of that name, and the answer to the operations `beside`, which go in the same message. */
export async function locateKey<Result>(
  cluster: Requests,
  name: string,
  beside: KmipOperation<Result> | undefined,
  signal: CallSignal,
): Promise<{ readonly id: string; readonly answer: Outcome<Result> | undefined }> {
  const locates = [named(name, objectType.SymmetricKey), named(name, objectType.PrivateKey)] as const
  const [aes, rsa, answer] =
    beside === undefined ? await cluster.batch([...locates], signal) : await cluster.batch([...locates, beside], signal)
  return { id: await theOnly(cluster, [valueOf(aes), valueOf(rsa)], `key named ${name}`, signal), answer }
}

/** Finds the public half of a key pair that the server does not link. */
export async function locatePublicKey(
  cluster: Requests,
  selector: ObjectSelector,
  signal: CallSignal,
): Promise<string> {
  if ('id' in selector) return selector.id
  const found = await cluster.call(named(selector.name, objectType.PublicKey), signal)
  return theOnly(cluster, [found], `public key named ${selector.name}`, signal)
}

async function theOnly(
  cluster: Requests,
  found: readonly (readonly string[])[],
  what: string,
  signal: CallSignal,
): Promise<string> {
  const all = found.flat()
  const ids = all.length > 1 ? await living(cluster, all, signal) : all
  const [id] = ids
  if (id === undefined) throw new AdapterError('KEY_NOT_FOUND', `the server has no ${what}`)
  if (ids.length === 1) return id
  const least = found.some(({ length }) => length >= MAX_NAMESAKES) ? 'at least ' : ''
  throw new AdapterError(
    'KEY_AMBIGUOUS',
    `the server has more than one ${what}: ${least}${ids.length}, ${ids.join(' and ')}; name one by kmip:id=, or rename one`,
  )
}

/** A server may keep the attributes of a destroyed key, under the name that a new key has. */
async function living(cluster: Requests, ids: readonly string[], signal: CallSignal): Promise<readonly string[]> {
  const states = await cluster.batch(
    ids.map((id) => getAttributes(id, ['State'])),
    signal,
  )
  return ids.filter((_id, index) => {
    const said = states[index]
    return !(said?.ok && isDestroyed(said.value))
  })
}
