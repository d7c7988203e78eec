import { bigIntegerBytes, writeBigInteger } from "./big-integer.js";
import { TtlvError } from "./error.js";
import { isTag, typeCode } from "./item.js";
import { completeLimits } from "./limits.js";
import { textBytes, writeText } from "./text.js";
const HEADER = 8;
const INT32 = 2 ** 31;
const INT64 = 2n ** 63n;
/**
 * The bytes of a tree (KMIP 1.4 §9.1). What {@link decode} makes of them under the same limits is the same tree.
 *
 * The result is a buffer of exactly the right size, and no other copy is made of a Byte String or a Text String: who
 * zeroes the result has zeroed what was written. (A Big Integer is a JavaScript number and cannot be zeroed anyway.)
 *
 * @param limits bounds that differ from {@link defaultLimits}
 * @throws TtlvError for a tree that has no encoding or is beyond the limits
 */
export function encode(item, limits = {}) {
    const encoder = new Encoder(completeLimits(limits));
    const bytes = new Uint8Array(encoder.measure(item, 0, 1));
    encoder.write(item, bytes, new DataView(bytes.buffer));
    return bytes;
}
class Encoder {
    #limits;
    #items = 0;
    #position = 0;
    constructor(limits) {
        this.#limits = limits;
    }
    /** Checks everything, so that writing cannot fail, and gives where the item ends that begins at `offset`. */
    measure(item, offset, depth) {
        if (depth > this.#limits.maxDepth)
            throw new TtlvError('TOO_DEEP', offset, 'more levels than the limit');
        if (++this.#items > this.#limits.maxItems) {
            throw new TtlvError('TOO_MANY_ITEMS', offset, 'more items than the limit');
        }
        if (!isTag(item.tag))
            throw new TtlvError('TAG_INVALID', offset, 'a tag that does not begin with 42 or 54');
        let end = offset + HEADER;
        if (item.type === 'Structure') {
            for (const child of item.value)
                end = this.measure(child, end, depth + 1);
        }
        else {
            const length = valueBytes(item);
            if (length === undefined)
                throw new TtlvError('VALUE_INVALID', offset, `not a value of ${item.type}`);
            end += length + (-length & 7);
        }
        if (end > this.#limits.maxBytes)
            throw new TtlvError('TOO_LARGE', offset, 'more bytes than the limit');
        return end;
    }
    /** Writes behind what was written before. `target` is new: padding need not be written. */
    write(item, target, view) {
        const start = this.#position;
        const valueStart = start + HEADER;
        view.setUint32(start, ((item.tag << 8) | typeCode(item.type)) >>> 0);
        let length = 8;
        switch (item.type) {
            case 'Structure':
                this.#position = valueStart;
                for (const child of item.value)
                    this.write(child, target, view);
                view.setUint32(start + 4, this.#position - valueStart);
                return;
            case 'Integer':
            case 'Enumeration':
            case 'Interval':
                length = 4;
                view.setUint32(valueStart, item.value >>> 0);
                break;
            case 'LongInteger':
            case 'DateTime':
            case 'DateTimeExtended':
                view.setBigInt64(valueStart, item.value);
                break;
            case 'Boolean':
                view.setUint32(valueStart + 4, item.value ? 1 : 0);
                break;
            case 'BigInteger':
                length = bigIntegerBytes(item.value);
                writeBigInteger(target.subarray(valueStart, valueStart + length), item.value);
                break;
            case 'TextString':
                length = textBytes(item.value) ?? 0;
                writeText(target, valueStart, item.value, length);
                break;
            case 'ByteString':
                length = item.value.length;
                target.set(item.value, valueStart);
                break;
        }
        view.setUint32(start + 4, length);
        this.#position = valueStart + length + (-length & 7);
    }
}
/** Bytes of the value without padding; `undefined` for what is no value of the type. The types do not bind every caller. */
function valueBytes(item) {
    switch (item.type) {
        case 'Integer':
            return isWhole(item.value, -INT32, INT32 - 1) ? 4 : undefined;
        case 'Enumeration':
        case 'Interval':
            return isWhole(item.value, 0, 2 * INT32 - 1) ? 4 : undefined;
        case 'LongInteger':
        case 'DateTime':
        case 'DateTimeExtended':
            return typeof item.value === 'bigint' && item.value >= -INT64 && item.value < INT64 ? 8 : undefined;
        case 'Boolean':
            return typeof item.value === 'boolean' ? 8 : undefined;
        case 'BigInteger':
            return typeof item.value === 'bigint' ? bigIntegerBytes(item.value) : undefined;
        case 'TextString':
            return typeof item.value === 'string' && !item.value.endsWith('\0') ? textBytes(item.value) : undefined;
        case 'ByteString':
            return isBytes(item.value) ? item.value.length : undefined;
        default:
            return undefined;
    }
}
// Not `instanceof`: the bytes may come from another realm (a frame, a test runner's sandbox).
const isBytes = (value) => Object.prototype.toString.call(value) === '[object Uint8Array]';
const isWhole = (value, min, max) => Number.isInteger(value) && value >= min && value <= max;
