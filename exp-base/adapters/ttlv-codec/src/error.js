/**
 * The only error for what comes from outside. `message` is for a person, and like the other fields it contains nothing of
 * the values.
 */
export class TtlvError extends Error {
    name = 'TtlvError';
    code;
    /**
     * Byte offset from the start of what was decoded or would have been encoded; for a {@link FrameReader}, from the start
     * of the stream.
     */
    offset;
    constructor(code, offset, message) {
        super(`${message} (at byte ${offset})`);
        this.code = code;
        this.offset = offset;
    }
}
