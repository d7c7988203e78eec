/**
 * Every rejection of a {@link KeyAdapter} call. `message` is for the operator's log: it never reaches a caller, is never
 * matched on, and never contains key material, a data key or a ciphertext.
 */
export class AdapterError extends Error {
    name = 'AdapterError';
    code;
    detail;
    retryAfterSeconds;
    constructor(code, message, options = {}) {
        super(message);
        this.code = code;
        this.detail = options.detail;
        this.retryAfterSeconds = options.retryAfterSeconds;
    }
}
/**
 * Something that only an operator can put right: a file, a passphrase, a name, a port. `message` is one sentence for a
 * person, says what was wrong and what to do, and never contains a secret; the command line prints it as it is.
 */
export class OperatorError extends Error {
    name = 'OperatorError';
    /** Stable, UPPER_SNAKE_CASE, e.g. `KEY_EXISTS`. */
    code;
    constructor(code, message) {
        super(message);
        this.code = code;
    }
}
/** The `code` of a Node.js or system error, e.g. `ENOENT`. */
export const systemCode = (error) => error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error';
