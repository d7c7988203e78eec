import { AdapterError } from '../contract/index.ts'

/** How the configuration names an object: by its Name attribute or by its unique identifier. */
export type ObjectSelector = { readonly name: string } | { readonly id: string }

export interface KeySelector {
  readonly key: ObjectSelector
  /** The public half of a key pair, if the server does not link it. */
  readonly publicKey?: ObjectSelector
}

const SCHEME = 'kmip:'
const MEMBERS = ['id', 'name', 'public-id', 'public-name'] as const
type Members = { [Name in (typeof MEMBERS)[number]]?: string }

/**
 * Reads a key's reference. It is a plain Name, or `kmip:` with percent-encoded members separated by `;`:
 * `kmip:id=1234`, `kmip:name=payroll`, and for an RSA key without a linked public half `kmip:id=1;public-id=2` or
 * `…;public-name=…`.
 *
 * A plain reference is never an identifier. Callers choose external key ids, which can become plain references; as
 * identifiers they could name any object of the server.
 *
 * @throws AdapterError `KEY_UNSUPPORTED` for a reference that cannot be read
 */
export function parseKeyRef(ref: string): KeySelector {
  if (!ref.startsWith(SCHEME)) return { key: { name: ref } }
  const members: Members = {}
  for (const member of ref.slice(SCHEME.length).split(';')) {
    const [text = '', ...rest] = member.split('=')
    const name = MEMBERS.find((known) => known === text)
    const value = decodeValue(rest.join('='))
    if (name === undefined || members[name] !== undefined || value === undefined) throw unreadable(ref)
    members[name] = value
  }
  const key = selector(members.id, members.name)
  const publicKey = selector(members['public-id'], members['public-name'])
  if (key === undefined || key === 'both' || publicKey === 'both') throw unreadable(ref)
  return { key, ...(publicKey && { publicKey }) }
}

function selector(id: string | undefined, name: string | undefined): ObjectSelector | 'both' | undefined {
  if (id !== undefined) return name === undefined ? { id } : 'both'
  return name === undefined ? undefined : { name }
}

function decodeValue(text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined
  } catch {
    return undefined
  }
}

const unreadable = (ref: string) =>
  new AdapterError(
    'KEY_UNSUPPORTED',
    `${ref} does not name a key: write its Name, or kmip: with id= or name=, and for RSA also public-id= or public-name=`,
  )
