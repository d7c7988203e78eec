import { AdapterError } from '../../contract/index.ts'
import { isPkcs11Uri, parsePkcs11Uri, Pkcs11UriError, type Pkcs11Uri } from './pkcs11-uri.ts'

/** Names an object of the token. Every given member must match. */
export interface KeySelector {
  readonly class?: 'secret' | 'private'
  readonly label?: string
  /** CKA_ID in lower-case hexadecimal. */
  readonly id?: string
}

/** The open token, with which a URI in a key reference is compared. */
export interface OpenToken {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly slot: bigint
  readonly module: string
}

const ID_PREFIX = 'id:'

/**
 * Reads a key reference: `id:` with a CKA_ID in hexadecimal (colons between the bytes are allowed), a `pkcs11:` URI, or
 * else a CKA_LABEL.
 * @throws AdapterError `KEY_NOT_FOUND` for a reference that can name no key of this token
 */
export function parseKeyRef(ref: string, token: OpenToken): KeySelector {
  if (isPkcs11Uri(ref)) return fromUri(ref, token)
  if (!ref.startsWith(ID_PREFIX)) return { label: ref }
  const id = ref.slice(ID_PREFIX.length).replaceAll(':', '')
  if (!/^(?:[0-9A-Fa-f]{2})+$/.test(id)) throw notFound(`${ref}: a CKA_ID is written as an even number of hex digits`)
  return { id: id.toLowerCase() }
}

/** The one encoding of a selector, which hosts use as the name of a key. */
export const encodeSelector = (selector: KeySelector): string =>
  JSON.stringify({ class: selector.class, label: selector.label, id: selector.id })

/** Names an AES session key with this value. The host creates it when the name first appears. */
export const encodeSiblingSelector = (value: Uint8Array): string =>
  JSON.stringify({ sibling: Buffer.from(value).toString('hex') })

export const decodeSelector = (text: string) => JSON.parse(text) as KeySelector & { readonly sibling?: string }

const notFound = (message: string) => new AdapterError('KEY_NOT_FOUND', message)

function fromUri(ref: string, token: OpenToken): KeySelector {
  const uri = readUri(ref)
  if (uri.pinSource !== undefined) throw notFound(`${ref}: pin-source belongs to the backend, not to a key`)
  const elsewhere = describesAnother(uri, token)
  if (elsewhere !== undefined) throw notFound(`${ref}: its ${elsewhere} is not that of the configured token`)
  if (uri.type !== undefined && uri.type !== 'private' && uri.type !== 'secret-key') {
    throw notFound(`${ref}: a key-encryption key is of type secret-key or private`)
  }
  if (uri.object === undefined && uri.id === undefined) throw notFound(`${ref}: it needs an object or an id`)
  return {
    ...(uri.type && { class: uri.type === 'private' ? 'private' : 'secret' }),
    ...(uri.object !== undefined && { label: uri.object }),
    ...(uri.id !== undefined && { id: Buffer.from(uri.id).toString('hex') }),
  }
}

function readUri(ref: string): Pkcs11Uri {
  try {
    return parsePkcs11Uri(ref)
  } catch (error) {
    // The reference is not repeated, because it may contain a PIN.
    if (error instanceof Pkcs11UriError) throw notFound(`a key's pkcs11: URI cannot be used: ${error.message}`)
    throw error
  }
}

/** The first attribute of the URI that contradicts the open token. Undefined if none does. */
function describesAnother(uri: Pkcs11Uri, token: OpenToken): string | undefined {
  const base = token.module.split('/').at(-1) ?? ''
  const pairs: readonly [string, unknown, readonly unknown[]][] = [
    ['token', uri.token, [token.label]],
    ['serial', uri.serial, [token.serial]],
    ['manufacturer', uri.manufacturer, [token.manufacturer]],
    ['model', uri.model, [token.model]],
    ['slot-id', uri.slotId, [token.slot]],
    ['module-path', uri.modulePath, [token.module]],
    ['module-name', uri.moduleName, [base, base.replace(/\.[^.]*$/, ''), base.replace(/^lib|\.[^.]*$/g, '')]],
  ]
  return pairs.find(([, wanted, actual]) => wanted !== undefined && !actual.includes(wanted))?.[0]
}
