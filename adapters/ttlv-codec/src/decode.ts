import { readBigInteger } from './big-integer.ts'
import { TtlvError } from './error.ts'
import { isTag, itemTypes, type Item } from './item.ts'
import { completeLimits, type Limits } from './limits.ts'
import { readText } from './text.ts'

const HEADER = 8

/**
 * Decodes one complete item, which must be all of `bytes` (KMIP 1.4 §9.1).
 *
 * It accepts only what the specification allows: fixed lengths, zero padding, Booleans of 0 or 1, UTF-8, tags that
 * begin with 42 or 54. One value has more than one accepted encoding: a Big Integer with needless sign extension. Byte
 * Strings are views into `bytes`; everything else is copied. Time and memory are linear in the length of `bytes`.
 *
 * @param limits bounds that differ from {@link defaultLimits}
 * @throws TtlvError for every malformed input
 */
export function decode(bytes: Uint8Array, limits: Partial<Limits> = {}): Item {
  const complete = completeLimits(limits)
  if (bytes.length > complete.maxBytes) {
    throw new TtlvError('TOO_LARGE', complete.maxBytes, `${bytes.length} bytes are more than the limit`)
  }
  const decoder = new Decoder(bytes, complete)
  const item = decoder.item(bytes.length, 1)
  if (decoder.position < bytes.length) throw new TtlvError('TRAILING', decoder.position, 'bytes after the item')
  return item
}

class Decoder {
  /** The offset of the next item. */
  position = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #limits: Limits
  /**
   * Children of Structures that are not complete yet. All levels share one list, because a list for each level would
   * waste memory.
   */
  readonly #open: Item[] = []
  #items = 0

  constructor(bytes: Uint8Array, limits: Limits) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#limits = limits
  }

  /** Reads the item at `position`, which may extend up to `end`, and advances past it. */
  item(end: number, depth: number): Item {
    const start = this.position
    if (end - start < HEADER) throw this.#cutOff(start, end, depth)
    const head = this.#view.getUint32(start)
    const tag = head >>> 8
    if (!isTag(tag)) throw new TtlvError('TAG_INVALID', start, 'a tag that does not begin with 42 or 54')
    if (depth > this.#limits.maxDepth) throw new TtlvError('TOO_DEEP', start, 'more levels than the limit')
    if (++this.#items > this.#limits.maxItems) {
      throw new TtlvError('TOO_MANY_ITEMS', start, 'more items than the limit')
    }
    const type = itemTypes[(head & 0xff) - 1]
    if (type === undefined) throw new TtlvError('TYPE_INVALID', start + 3, 'an item type that does not exist')
    const length = this.#view.getUint32(start + 4)
    const valueStart = start + HEADER
    const room = end - valueStart
    const value = (bytes: number): number => {
      if (length !== bytes) throw new TtlvError('LENGTH_INVALID', start + 4, `${type} has ${bytes} bytes`)
      if (room < 8) throw this.#cutOff(start + 4, end, depth)
      this.position = valueStart + 8
      if (bytes === 4 && this.#view.getUint32(valueStart + 4) !== 0) throw this.#badPadding(valueStart + 4)
      return valueStart
    }
    switch (type) {
      case 'Structure': {
        if (length > room) throw this.#cutOff(start + 4, end, depth)
        this.position = valueStart
        const first = this.#open.length
        const childrenEnd = valueStart + length
        while (this.position < childrenEnd) this.#open.push(this.item(childrenEnd, depth + 1))
        return { tag, type, value: this.#open.splice(first) }
      }
      case 'Integer':
        return { tag, type, value: this.#view.getInt32(value(4)) }
      case 'Enumeration':
      case 'Interval':
        return { tag, type, value: this.#view.getUint32(value(4)) }
      case 'LongInteger':
      case 'DateTime':
      case 'DateTimeExtended':
        return { tag, type, value: this.#view.getBigInt64(value(8)) }
      case 'Boolean':
        return { tag, type, value: this.#boolean(value(8)) }
      case 'BigInteger': {
        if (length === 0 || length % 8 !== 0) {
          throw new TtlvError('LENGTH_INVALID', start + 4, 'BigInteger has a positive multiple of 8 bytes')
        }
        const valueEnd = this.#variable(start, length, end, depth)
        return { tag, type, value: readBigInteger(this.#bytes.subarray(valueStart, valueEnd)) }
      }
      case 'TextString': {
        const valueEnd = this.#variable(start, length, end, depth)
        const text = readText(this.#bytes, valueStart, valueEnd)
        if (text === undefined) throw new TtlvError('TEXT_INVALID', valueStart, 'text that is not UTF-8')
        if (length > 0 && this.#bytes[valueEnd - 1] === 0) {
          throw new TtlvError('TEXT_INVALID', valueStart, 'text that is null-terminated')
        }
        return { tag, type, value: text }
      }
      case 'ByteString':
        return { tag, type, value: this.#bytes.subarray(valueStart, this.#variable(start, length, end, depth)) }
    }
  }

  /**
   * Advances past a value of any length and its padding.
   * @returns the offset at which the value itself ends
   */
  #variable(start: number, length: number, end: number, depth: number): number {
    const valueEnd = start + HEADER + length
    const next = valueEnd + (-length & 7)
    if (next > end) throw this.#cutOff(start + 4, end, depth)
    for (let at = valueEnd; at < next; at++) if (this.#bytes[at] !== 0) throw this.#badPadding(at)
    this.position = next
    return valueEnd
  }

  #boolean(at: number): boolean {
    const low = this.#view.getUint32(at + 4)
    if (this.#view.getUint32(at) === 0 && low <= 1) return low === 1
    throw new TtlvError('BOOLEAN_INVALID', at, 'a Boolean that is neither 0 nor 1')
  }

  #badPadding(from: number): TtlvError {
    let at = from
    while (this.#bytes[at] === 0) at++
    return new TtlvError('PADDING_INVALID', at, 'padding that is not zero')
  }

  #cutOff(at: number, end: number, depth: number): TtlvError {
    return depth === 1
      ? new TtlvError('TRUNCATED', end, 'the bytes end inside an item')
      : new TtlvError('CHILD_OVERRUN', at, 'a child that ends after its Structure')
  }
}
