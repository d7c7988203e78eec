import type { Attribute, Handle, Template } from 'pkcs11js'
import { CKA, CKK, CKO } from '../cryptoki/numbers.ts'
import { UNREADABLE_DATE, type KeyFacts } from '../wire/host-protocol.ts'
import { ckrOf, isCkrError } from './ckr.ts'
import type { Token } from './token.ts'

/** The first `limit` matching objects. */
export function findObjects({ module, session }: Token, template: Template, limit: number): Handle[] {
  module.C_FindObjectsInit(session, template)
  try {
    const found: Handle[] = []
    while (found.length < limit) {
      const more = module.C_FindObjects(session, limit - found.length)
      if (more.length === 0) break
      found.push(...more)
    }
    return found
  } finally {
    module.C_FindObjectsFinal(session)
  }
}

/** Object classes for which the token does not return several attributes at once. Each is tried once. */
const oneByOne = new Set<KeyFacts['class']>()

/**
 * The attributes of a key, by type. If the token knows all of them, this takes two calls of the module; on a token that
 * is far away, each call is a round trip.
 */
function readAll(token: Token, object: Handle, keyClass: KeyFacts['class']): (type: number) => Buffer | undefined {
  if (!oneByOne.has(keyClass)) {
    const shown = tryToShow(token, object, [...commonAttributes, ...attributesOf[keyClass]])
    if (typeof shown === 'object') {
      const found = new Map(shown.map(({ type, value }) => [type, Buffer.isBuffer(value) ? value : undefined]))
      return (type) => found.get(type)
    }
    oneByOne.add(keyClass)
  }
  return (type) => read(token, object, type)
}

/**
 * One attribute. Undefined if the token does not have it or does not show it.
 * @throws the module's error if it concerns the session
 */
function read(token: Token, object: Handle, type: number): Buffer | undefined {
  const shown = show(token, object, [type])
  return typeof shown === 'object' && Buffer.isBuffer(shown[0]?.value) ? shown[0].value : undefined
}

/**
 * The attributes, or the `CK_RV` by which the token says that it does not show them. A code that may also be a
 * momentary failure is trusted if the token returns it again after it has shown another attribute of the object. Other
 * errors are thrown.
 */
function show(token: Token, object: Handle, types: readonly number[]): Attribute[] | number {
  const { module, session } = token
  const get = (some: readonly number[]): Attribute[] =>
    module.C_GetAttributeValue(
      session,
      object,
      some.map((type) => ({ type })),
    )
  const ask = () => {
    try {
      return get(types)
    } catch (error) {
      const ckr = ckrOf(error)
      if (ckr === undefined || !withoutValue.has(ckr)) throw error
      return ckr
    }
  }
  token.alive()
  const said = ask()
  if (typeof said === 'object' || !mayPass.has(said)) return said
  get([CKA.CLASS])
  return ask()
}

/** Like {@link show}. Undefined if pkcs11js itself complains, as it does about an empty date. */
function tryToShow(token: Token, object: Handle, types: readonly number[]): Attribute[] | number | undefined {
  try {
    return show(token, object, types)
  } catch (error) {
    if (isCkrError(error)) throw error
    return undefined
  }
}

const commonAttributes = [
  CKA.ID,
  CKA.LABEL,
  CKA.KEY_TYPE,
  CKA.DECRYPT,
  CKA.UNWRAP,
  CKA.SENSITIVE,
  CKA.EXTRACTABLE,
] as const
const attributesOf = {
  secret: [CKA.ENCRYPT, CKA.WRAP, CKA.VALUE_LEN],
  private: [CKA.ALWAYS_AUTHENTICATE],
} as const

/** ATTRIBUTE_TYPE_INVALID and ATTRIBUTE_VALUE_INVALID. */
const noSuchAttribute: ReadonlySet<number> = new Set([0x012, 0x013])
/** GENERAL_ERROR and FUNCTION_FAILED, which some tokens return instead. */
const mayPass: ReadonlySet<number> = new Set([0x005, 0x006])
/** The same and ATTRIBUTE_SENSITIVE. */
const withoutValue: ReadonlySet<number> = new Set([0x011, ...mayPass, ...noSuchAttribute])

const text = (value: Buffer | undefined) => value?.toString('utf8') ?? ''
const flag = (value: Buffer | undefined) => (value?.length === 1 ? value[0] !== 0 : undefined)
const ulong = (value: Buffer | undefined) =>
  value?.length === 8 ? Number(value.readBigUInt64LE(0)) : value?.length === 4 ? value.readUInt32LE(0) : undefined

/**
 * YYYYMMDD; undefined for an empty date, which some tokens write as zeros or blanks; or `unreadable`. SoftHSM 2.6.1
 * stores the date of a CKA_PRIVATE object and then answers GENERAL_ERROR to every read, so that error means that a date
 * is set.
 */
function readDate(token: Token, object: Handle, type: number): string | undefined {
  const shown = tryToShow(token, object, [type])
  if (typeof shown === 'number') return noSuchAttribute.has(shown) ? undefined : UNREADABLE_DATE
  const value = shown?.[0]?.value
  const digits = Buffer.isBuffer(value) ? text(value) : ''
  return /^[0-9]{8}$/.test(digits) && digits !== '00000000' ? digits : undefined
}

/** An unsigned big-endian integer without leading zeros. Undefined if it is empty or zero. */
function integer(value: Buffer | undefined): Uint8Array | undefined {
  const start = value?.findIndex((byte) => byte !== 0) ?? -1
  return start === -1 ? undefined : value?.subarray(start)
}

/** Reads what a key object shows. It never reads the key's value. */
export function readKeyFacts(token: Token, object: Handle, keyClass: KeyFacts['class']): KeyFacts {
  const get = readAll(token, object, keyClass)
  const isSecret = keyClass === 'secret'
  const id = get(CKA.ID) ?? Buffer.alloc(0)
  const label = text(get(CKA.LABEL))
  const keyType = ulong(get(CKA.KEY_TYPE)) ?? -1
  const facts = {
    class: keyClass,
    keyType,
    label,
    id: id.toString('hex'),
    valueLen: isSecret ? ulong(get(CKA.VALUE_LEN)) : undefined,
    encrypt: isSecret ? flag(get(CKA.ENCRYPT)) : undefined,
    decrypt: flag(get(CKA.DECRYPT)),
    wrap: isSecret ? flag(get(CKA.WRAP)) : undefined,
    unwrap: flag(get(CKA.UNWRAP)),
    sensitive: flag(get(CKA.SENSITIVE)),
    extractable: flag(get(CKA.EXTRACTABLE)),
    alwaysAuthenticate: isSecret ? undefined : flag(get(CKA.ALWAYS_AUTHENTICATE)),
    startDate: readDate(token, object, CKA.START_DATE),
    endDate: readDate(token, object, CKA.END_DATE),
    ...(keyClass === 'private' && keyType === CKK.RSA && publicFacts(token, object, id, label)),
  }
  return withoutUndefined(facts)
}

/**
 * n and e from the private object if it shows them. The rest from the public object with the same CKA_ID, or with the
 * same label.
 */
function publicFacts(token: Token, object: Handle, id: Buffer, label: string) {
  const like = id.length > 0 ? { type: CKA.ID, value: id } : { type: CKA.LABEL, value: label }
  token.alive()
  const candidates = findObjects(token, [{ type: CKA.CLASS, value: CKO.PUBLIC_KEY }, like], 8)
  const n = integer(read(token, object, CKA.MODULUS))
  const half = candidates.find((candidate) => {
    const modulus = integer(read(token, candidate, CKA.MODULUS))
    return modulus !== undefined && (n === undefined ? candidates.length === 1 : Buffer.compare(modulus, n) === 0)
  })
  const fromHalf = (type: number) => half && integer(read(token, half, type))
  return {
    n: n ?? fromHalf(CKA.MODULUS),
    e: integer(read(token, object, CKA.PUBLIC_EXPONENT)) ?? fromHalf(CKA.PUBLIC_EXPONENT),
    publicUse: half && [CKA.ENCRYPT, CKA.WRAP].some((type) => flag(read(token, half, type)) !== false),
  }
}

function withoutUndefined<Facts extends object>(
  facts: Facts,
): { [Name in keyof Facts]: Exclude<Facts[Name], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Facts]: Exclude<Facts[Name], undefined>
  }
}
