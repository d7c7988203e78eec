import { AdapterError, type CallSignal } from '../../contract/index.ts'
import type { ObjectSelector } from '../key-ref.ts'
import { attribute } from '../protocol/attributes.ts'
import { objectType } from '../protocol/numbers.ts'
import { locate } from '../protocol/objects.ts'
import type { KmipCluster } from '../transport/cluster.ts'
import { valueOf } from '../transport/server.ts'

/** The one key-encryption key of that name. Asks for two of each type, because a name may be taken twice. */
export async function locateKey(cluster: KmipCluster, name: string, signal: CallSignal): Promise<string> {
  const found = await cluster.batch(
    [
      locate([attribute.name(name), attribute.objectType(objectType.SymmetricKey)], { maximum: 2 }),
      locate([attribute.name(name), attribute.objectType(objectType.PrivateKey)], { maximum: 2 }),
    ],
    signal,
  )
  return theOnly(found.flatMap(valueOf), `key named ${name}`)
}

/** Where the public half of a key pair is that no link leads to. */
export async function locatePublicKey(
  cluster: KmipCluster,
  selector: ObjectSelector,
  signal: CallSignal,
): Promise<string> {
  if ('id' in selector) return selector.id
  const { name } = selector
  const wanted = [attribute.name(name), attribute.objectType(objectType.PublicKey)]
  return theOnly(await cluster.call(locate(wanted, { maximum: 2 }), signal), `public key named ${name}`)
}

function theOnly(ids: readonly string[], what: string): string {
  const [id] = ids
  if (id === undefined) throw new AdapterError('KEY_NOT_FOUND', `the server has no ${what}`)
  if (ids.length === 1) return id
  throw new AdapterError(
    'KEY_UNSUPPORTED',
    `the server has more than one ${what}: ${ids.join(' and ')}; name one by kmip:id=, or rename one`,
  )
}
