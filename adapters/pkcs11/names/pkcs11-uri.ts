/** The parts of a `pkcs11:` URI (RFC 7512) that locate something. Undefined means: any. */
export interface Pkcs11Uri {
  readonly token?: string
  readonly manufacturer?: string
  readonly serial?: string
  readonly model?: string
  readonly slotId?: bigint
  /** CKA_LABEL. */
  readonly object?: string
  /** CKA_ID. */
  readonly id?: Uint8Array
  readonly type?: 'public' | 'private' | 'cert' | 'secret-key' | 'data'
  readonly modulePath?: string
  readonly moduleName?: string
  /** The PIN's file, as a path or a `file:` URI. */
  readonly pinSource?: string
}

/** Why a text is not an acceptable `pkcs11:` URI. The message never repeats an attribute's value. */
export class Pkcs11UriError extends Error {
  override readonly name = 'Pkcs11UriError'
}

export const isPkcs11Uri = (text: string): boolean => /^pkcs11:/i.test(text)

// RFC 7512 §2.3: the characters that may be unescaped in a value of the path, and in one of the query.
const PATH_VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})*$/
const QUERY_VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})*$/
const NAME = /^[A-Za-z0-9_-]+$/
const types = ['public', 'private', 'cert', 'secret-key', 'data'] as const

/**
 * Reads a `pkcs11:` URI.
 *
 * It refuses an attribute that appears twice, a value with a character that must be escaped, and text that is not
 * UTF-8. It also refuses attributes that the RFC defines but that do not identify a key (`library-*`,
 * `slot-manufacturer`, `slot-description`), and vendors' own attributes: to ignore them would match more than the URI
 * says. It refuses `pin-value` because a secret does not belong in a URI (§7).
 *
 * @throws Pkcs11UriError
 */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (!isPkcs11Uri(text)) throw new Pkcs11UriError('it does not start with pkcs11:')
  const [pathText = '', ...queries] = text.slice('pkcs11:'.length).split('?')
  const path = attributes(pathText, ';', PATH_VALUE)
  const query = attributes(queries.join('?'), '&', QUERY_VALUE)
  const uri: Draft = {}
  for (const [name, value] of path) readPathAttribute(uri, name, value)
  for (const [name, value] of query) readQueryAttribute(uri, name, value)
  return uri
}

type Draft = { -readonly [Name in keyof Pkcs11Uri]: Pkcs11Uri[Name] }

function readPathAttribute(uri: Draft, name: string, value: string): void {
  switch (name) {
    case 'token':
    case 'manufacturer':
    case 'serial':
    case 'model':
    case 'object':
      uri[name] = decodeText(name, value)
      return
    case 'id':
      uri.id = decodeBytes(value)
      return
    case 'slot-id':
      if (!/^[0-9]{1,20}$/.test(value)) throw new Pkcs11UriError('slot-id is not a decimal number')
      uri.slotId = BigInt(value)
      return
    case 'type': {
      const type = types.find((known) => known === value)
      if (type === undefined) throw new Pkcs11UriError(`type is none of ${types.join(', ')}`)
      uri.type = type
      return
    }
    default:
      throw new Pkcs11UriError(`the attribute ${name} is not supported in the path`)
  }
}

function readQueryAttribute(uri: Draft, name: string, value: string): void {
  switch (name) {
    case 'module-path':
      uri.modulePath = decodeText(name, value)
      return
    case 'module-name':
      uri.moduleName = decodeText(name, value)
      return
    case 'pin-source':
      uri.pinSource = decodeText(name, value)
      return
    case 'pin-value':
      throw new Pkcs11UriError('pin-value is refused: keep the PIN out of the URI, with pin-source or the pin setting')
    default:
      throw new Pkcs11UriError(`the attribute ${name} is not supported in the query`)
  }
}

function attributes(text: string, separator: string, allowed: RegExp): Map<string, string> {
  const found = new Map<string, string>()
  if (text === '') return found
  for (const attribute of text.split(separator)) {
    const equals = attribute.indexOf('=')
    const name = attribute.slice(0, Math.max(0, equals))
    const value = attribute.slice(equals + 1)
    if (equals < 1 || !NAME.test(name)) throw new Pkcs11UriError('an attribute is not of the form name=value')
    if (!allowed.test(value)) throw new Pkcs11UriError(`${name} holds a character that must be percent-encoded`)
    if (found.has(name)) throw new Pkcs11UriError(`${name} appears more than once`)
    found.set(name, value)
  }
  return found
}

function decodeBytes(value: string): Uint8Array {
  const bytes: number[] = []
  for (let at = 0; at < value.length; at++) {
    if (value[at] === '%') {
      bytes.push(Number.parseInt(value.slice(at + 1, at + 3), 16))
      at += 2
    } else bytes.push(value.charCodeAt(at))
  }
  return Uint8Array.from(bytes)
}

function decodeText(name: string, value: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(decodeBytes(value))
  } catch {
    throw new Pkcs11UriError(`${name} is not UTF-8`)
  }
}
