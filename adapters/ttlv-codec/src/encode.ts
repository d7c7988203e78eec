import { bigIntegerBytes, writeBigInteger } from './big-integer.ts'
import { TtlvError } from './error.ts'
import { isTag, typeCode, type Item } from './item.ts'
import { completeLimits, type Limits } from './limits.ts'
import { textBytes, writeText } from './text.ts'

const HEADER = 8
const INT32 = 2 ** 31
const INT64 = 2n ** 63n

/**
 * Encodes a tree (KMIP 1.4 §9.1). {@link decode} with the same limits returns an equal tree.
 *
 * The result is a buffer of exactly the right size. No other copy is made of a Byte String or a Text String, so zeroing
 * the result zeroes all that was written. A Big Integer is a JavaScript bigint and cannot be zeroed.
 *
 * @param limits bounds that differ from {@link defaultLimits}
 * @throws TtlvError for a tree that has no encoding or exceeds the limits
 */
export function encode(item: Item, limits: Partial<Limits> = {}): Uint8Array {
  const encoder = new Encoder(completeLimits(limits))
  const bytes = new Uint8Array(encoder.measure(item, 0, 1))
  encoder.write(item, bytes, new DataView(bytes.buffer))
  return bytes
}

class Encoder {
  readonly #limits: Limits
  #items = 0
  #position = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /**
   * Checks everything, so that writing cannot fail.
   * @returns the offset at which the item that begins at `offset` ends
   */
  measure(item: Item, offset: number, depth: number): number {
    if (depth > this.#limits.maxDepth) throw new TtlvError('TOO_DEEP', offset, 'more levels than the limit')
    if (++this.#items > this.#limits.maxItems) {
      throw new TtlvError('TOO_MANY_ITEMS', offset, 'more items than the limit')
    }
    if (!isTag(item.tag)) throw new TtlvError('TAG_INVALID', offset, 'a tag that does not begin with 42 or 54')
    let end = offset + HEADER
    if (item.type === 'Structure') {
      for (const child of item.value) end = this.measure(child, end, depth + 1)
    } else {
      const length = valueBytes(item)
      if (length === undefined) throw new TtlvError('VALUE_INVALID', offset, `not a value of ${item.type}`)
      end += length + (-length & 7)
    }
    if (end > this.#limits.maxBytes) throw new TtlvError('TOO_LARGE', offset, 'more bytes than the limit')
    return end
  }

  /** Appends the item. `target` is zeroed, so padding need not be written. */
  write(item: Item, target: Uint8Array, view: DataView): void {
    const start = this.#position
    const valueStart = start + HEADER
    view.setUint32(start, ((item.tag << 8) | typeCode(item.type)) >>> 0)
    let length = 8
    switch (item.type) {
      case 'Structure':
        this.#position = valueStart
        for (const child of item.value) this.write(child, target, view)
        view.setUint32(start + 4, this.#position - valueStart)
        return
      case 'Integer':
      case 'Enumeration':
      case 'Interval':
        length = 4
        view.setUint32(valueStart, item.value >>> 0)
        break
      case 'LongInteger':
      case 'DateTime':
      case 'DateTimeExtended':
        view.setBigInt64(valueStart, item.value)
        break
      case 'Boolean':
        view.setUint32(valueStart + 4, item.value ? 1 : 0)
        break
      case 'BigInteger':
        length = bigIntegerBytes(item.value)
        writeBigInteger(target.subarray(valueStart, valueStart + length), item.value)
        break
      case 'TextString':
        length = textBytes(item.value) ?? 0
        writeText(target, valueStart, item.value, length)
        break
      case 'ByteString':
        length = item.value.length
        target.set(item.value, valueStart)
        break
    }
    view.setUint32(start + 4, length)
    this.#position = valueStart + length + (-length & 7)
  }
}

/**
 * The length of the value in bytes without padding. Undefined if the value is not of its type: callers without types
 * can pass anything.
 */
function valueBytes(item: Exclude<Item, { type: 'Structure' }>): number | undefined {
  switch (item.type) {
    case 'Integer':
      return isWhole(item.value, -INT32, INT32 - 1) ? 4 : undefined
    case 'Enumeration':
    case 'Interval':
      return isWhole(item.value, 0, 2 * INT32 - 1) ? 4 : undefined
    case 'LongInteger':
    case 'DateTime':
    case 'DateTimeExtended':
      return typeof item.value === 'bigint' && item.value >= -INT64 && item.value < INT64 ? 8 : undefined
    case 'Boolean':
      return typeof item.value === 'boolean' ? 8 : undefined
    case 'BigInteger':
      return typeof item.value === 'bigint' ? bigIntegerBytes(item.value) : undefined
    case 'TextString':
      return typeof item.value === 'string' && !item.value.endsWith('\0') ? textBytes(item.value) : undefined
    case 'ByteString':
      return isBytes(item.value) ? item.value.length : undefined
    default:
      return undefined
  }
}

// `instanceof` would fail for bytes from another realm (a frame, a test runner's sandbox).
const isBytes = (value: unknown) => Object.prototype.toString.call(value) === '[object Uint8Array]'

const isWhole = (value: number, min: number, max: number) => Number.isInteger(value) && value >= min && value <= max
