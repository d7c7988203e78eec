/**
 * A passphrase or PIN. It prints as `[secret]` wherever a value can be printed by accident: `util.inspect`, `JSON`,
 * string conversion, a log.
 */
export class Secret {
    #bytes;
    constructor(bytes) {
        this.#bytes = bytes;
    }
    /** A copy of the secret's bytes, which the caller zeroes after use. */
    reveal() {
        return Uint8Array.from(this.#bytes);
    }
    toString() {
        return '[secret]';
    }
    toJSON() {
        return '[secret]';
    }
    [Symbol.for('nodejs.util.inspect.custom')]() {
        return '[secret]';
    }
}
