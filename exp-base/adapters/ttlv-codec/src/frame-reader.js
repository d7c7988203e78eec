import { TtlvError } from "./error.js";
import { isTag, typeCode } from "./item.js";
import { completeLimits, defaultLimits } from "./limits.js";
const HEADER = 8;
/** Room for a frame before its bytes have come: a length is easily claimed, so memory follows what arrives. */
const FIRST_ROOM = 4096;
/**
 * Cuts a stream of bytes into messages. KMIP has no framing of its own: a message is one Structure, whose 8-byte header
 * says how long it is.
 *
 * The size limit is applied from that header before anything after it is kept. Memory is at most the frame under way, and
 * time is linear in what arrives, however it is split. A frame is not looked into; {@link decode} does that.
 */
export class FrameReader {
    #onFrame;
    #maxBytes;
    /** Bytes of the stream before the frame under way. */
    #start = 0;
    #frame = new Uint8Array(HEADER);
    #filled = 0;
    /** Size of the frame under way; 0 until its header is there. */
    #size = 0;
    #failure;
    /**
     * @param onFrame gets each complete message, header included, in order: a buffer of its own, which the callee may keep
     * and zero. It must not throw, and must not push.
     * @param limits `maxBytes` bounds one message, header included
     */
    constructor(onFrame, limits = {}) {
        this.#onFrame = onFrame;
        this.#maxBytes = completeLimits({ maxBytes: limits.maxBytes ?? defaultLimits.maxBytes }).maxBytes;
    }
    /** Bytes that are held of a message that is not complete. */
    get pending() {
        return this.#filled;
    }
    /**
     * Takes the next bytes of the stream, in any split, and keeps no reference to them.
     *
     * @throws TtlvError `TAG_INVALID`, `TYPE_INVALID`, `LENGTH_INVALID` or `TOO_LARGE` as soon as a header is wrong, after
     * every message before it was handed over. The stream has lost its beat then: every later call throws the same.
     */
    push(chunk) {
        if (this.#failure)
            throw this.#failure;
        let at = 0;
        while (at < chunk.length) {
            const wanted = (this.#size === 0 ? HEADER : this.#size) - this.#filled;
            const taken = Math.min(wanted, chunk.length - at);
            this.#reserve(this.#filled + taken);
            this.#frame.set(chunk.subarray(at, at + taken), this.#filled);
            this.#filled += taken;
            at += taken;
            if (this.#size === 0 && this.#filled === HEADER)
                this.#readHeader();
            if (this.#size !== 0 && this.#filled === this.#size)
                this.#handOver();
        }
    }
    /**
     * Says that the stream has ended.
     *
     * @throws TtlvError `TRUNCATED` if it ended inside a message
     */
    end() {
        if (this.#failure)
            throw this.#failure;
        if (this.#filled === 0)
            return;
        throw this.#fail(new TtlvError('TRUNCATED', this.#start + this.#filled, 'the stream ends inside a message'));
    }
    /** Zeroes and forgets the message under way. The reader takes nothing more: for when the stream is given up. */
    discard() {
        this.#failure ??= new TtlvError('TRUNCATED', this.#start + this.#filled, 'the stream was given up');
        this.#frame.fill(0);
        this.#frame = new Uint8Array(0);
        this.#filled = 0;
    }
    #readHeader() {
        const view = new DataView(this.#frame.buffer);
        const head = view.getUint32(0);
        const length = view.getUint32(4);
        const found = (code, at, what) => this.#fail(new TtlvError(code, this.#start + at, what));
        if (!isTag(head >>> 8))
            throw found('TAG_INVALID', 0, 'a tag that does not begin with 42 or 54');
        if ((head & 0xff) !== typeCode('Structure'))
            throw found('TYPE_INVALID', 3, 'a message that is not a Structure');
        if (HEADER + length > this.#maxBytes)
            throw found('TOO_LARGE', 4, `a message of ${HEADER + length} bytes`);
        if (length % 8 !== 0)
            throw found('LENGTH_INVALID', 4, 'a Structure has a multiple of 8 bytes');
        this.#size = HEADER + length;
    }
    /** Grows by doubling, which is linear in total, and leaves no copy behind. */
    #reserve(bytes) {
        if (bytes <= this.#frame.length)
            return;
        const room = Math.min(this.#size, Math.max(2 * this.#frame.length, FIRST_ROOM, bytes));
        const larger = new Uint8Array(room);
        larger.set(this.#frame.subarray(0, this.#filled));
        this.#frame.fill(0);
        this.#frame = larger;
    }
    #handOver() {
        const frame = this.#frame;
        this.#start += this.#size;
        this.#frame = new Uint8Array(HEADER);
        this.#filled = 0;
        this.#size = 0;
        this.#onFrame(frame);
    }
    #fail(error) {
        this.#failure = error;
        this.discard();
        return error;
    }
}
