/** Bytes that are not the expected DER encoding (X.690). The message names what was expected. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

/** Universal tags, and the bits of context-specific ones (X.690 section 8.1.2). */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const

/** The tag of a context-specific member: `[number]`, primitive or constructed. */
export const context = (number: number, constructed = false): number => (constructed ? 0xa0 : 0x80) | number

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Including tag and length. */
  readonly encoding: Buffer
}

/**
 * Reads the elements of one constructed value in order.
 * @throws DerError from every method
 */
export class DerReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isDone(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** The next element's tag. Undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#offset]
  }

  next(): Element {
    const start = this.#offset
    const tag = this.#byte()
    if ((tag & 0x1f) === 0x1f) throw new DerError('a tag has several bytes')
    const length = this.#length()
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new DerError('an element is longer than what holds it')
    const content = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return { tag, content, encoding: this.#bytes.subarray(start, end) }
  }

  element(tag: number): Element {
    if (this.tag !== tag) throw new DerError(`no element with tag ${tag}`)
    return this.next()
  }

  take(tag: number): Buffer {
    return this.element(tag).content
  }

  optional(tag: number): Buffer | undefined {
    return this.tag === tag ? this.next().content : undefined
  }

  sequence(): DerReader {
    return new DerReader(this.take(tags.sequence))
  }

  oid(): string {
    return oidOf(this.take(tags.oid))
  }

  end(): void {
    if (!this.isDone) throw new DerError('an element has more members than it may have')
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset]
    if (byte === undefined) throw new DerError('the bytes end too soon')
    this.#offset += 1
    return byte
  }

  #length(): number {
    const first = this.#byte()
    if (first < 0x80) return first
    const count = first & 0x7f
    if (count === 0 || count > 4) throw new DerError('a length is indefinite or too large')
    let length = 0
    for (let index = 0; index < count; index += 1) length = length * 256 + this.#byte()
    if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('a length is not in its shortest form')
    return length
  }
}

/**
 * All elements in the content of a SEQUENCE or SET.
 *
 * @param most elements that there may be: a stranger's certificate has room for thousands of empty ones
 */
export function* elementsOf(content: Buffer, most: number): Generator<Element> {
  const reader = new DerReader(content)
  for (let count = 0; !reader.isDone; count += 1) {
    if (count === most) throw new DerError(`a value has more than ${most} members`)
    yield reader.next()
  }
}

/** More than any object identifier has: one with a UUID (X.667) takes 20. It bounds the cost of large numbers. */
const MAX_OID_BYTES = 64

/** In dotted form. */
export function oidOf(content: Buffer): string {
  if (content.length > MAX_OID_BYTES) throw new DerError(`an object identifier is longer than ${MAX_OID_BYTES} bytes`)
  const arcs: (number | bigint)[] = []
  let arc: number | bigint = 0
  for (const byte of content) {
    if (arc === 0 && byte === 0x80) throw new DerError('an object identifier is not in its shortest form')
    arc = appended(arc, byte & 0x7f)
    if (byte & 0x80) continue
    arcs.push(arc)
    arc = 0
  }
  const [first] = arcs
  if (first === undefined || (content.at(-1) ?? 0) & 0x80) throw new DerError('an object identifier is cut off')
  const root = first < 40 ? 0 : first < 80 ? 1 : 2
  const second = typeof first === 'bigint' ? first - 80n : first - 40 * root
  return [root, second, ...arcs.slice(1)].join('.')
}

/** A number cannot hold every arc. */
function appended(arc: number | bigint, bits: number): number | bigint {
  if (typeof arc === 'number' && arc <= Number.MAX_SAFE_INTEGER / 256) return arc * 128 + bits
  return BigInt(arc) * 128n + BigInt(bits)
}

export function booleanOf(content: Buffer): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw new DerError('a BOOLEAN is neither true nor false')
  return content[0] === 0xff
}

/** A whole number from 0 to 2^31 - 1. Larger ones are read as that, which is the same for every use here. */
export function countOf(content: Buffer): number {
  if (content.length === 0 || (content[0] ?? 0) & 0x80) throw new DerError('a count is negative or empty')
  return content.length > 4 ? 2 ** 31 - 1 : content.readUIntBE(0, content.length)
}

/** The bytes of a BIT STRING of whole bytes, such as a key or a signature. */
export function wholeBytesOf(content: Buffer): Buffer {
  if (content[0] !== 0) throw new DerError('a BIT STRING does not end at a byte')
  return content.subarray(1)
}

/** Whether bit `number`, counted from the first, is set in a BIT STRING with named bits. */
export function hasBit(content: Buffer, number: number): boolean {
  const byte = content[1 + Math.floor(number / 8)] ?? 0
  return (byte & (0x80 >> (number % 8))) !== 0
}

const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/

/** Milliseconds since the epoch (RFC 5280 section 4.1.2.5). */
export function timeOf({ tag, content }: Element): number {
  const pattern = tag === tags.utcTime ? UTC_TIME : tag === tags.generalizedTime ? GENERALIZED_TIME : undefined
  const parts = pattern?.exec(content.toString('latin1'))
  if (!parts) throw new DerError('a time is not in the form of RFC 5280')
  const [year = 0, month = 0, ...rest] = parts.slice(1).map(Number)
  const [day = 0, hour = 0, minute = 0, second = 0] = rest
  const fullYear = tag === tags.generalizedTime ? year : year + (year < 50 ? 2000 : 1900)
  const time = new Date(0)
  time.setUTCFullYear(fullYear, month - 1, day)
  time.setUTCHours(hour, minute, second)
  if (time.getUTCMonth() !== month - 1 || time.getUTCDate() !== day)
    throw new DerError('a time is not a date that exists')
  return time.getTime()
}
