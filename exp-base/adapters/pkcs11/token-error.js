import { AdapterError } from "../contract/index.js";
import { ckrName, ckrRow } from "./ckr-table.js";
const CIPHERTEXT_MESSAGE = 'the value does not unwrap';
/** A failure below the adapter. Callers see the {@link AdapterError}; qualification looks at the blame. */
export class TokenError extends AdapterError {
    blame;
    constructor(code, message, blame, ckr) {
        const busy = code === 'BACKEND_BUSY' ? { retryAfterSeconds: 1 } : {};
        super(code, message, { ...(ckr !== undefined && { detail: ckr }), ...busy });
        this.blame = blame;
    }
    /** What a `CK_RV` means when the token is well. */
    static ofCall(ckr, unwrapping) {
        const { error, unwrapError } = ckrRow(ckr);
        const code = unwrapping ? (unwrapError ?? error) : error;
        // One failure, one text: which of the token's answers it was stays in the detail.
        const message = code === 'CIPHERTEXT_INVALID' ? CIPHERTEXT_MESSAGE : `the token answered ${ckrName(ckr)}`;
        return new TokenError(code, message, 'request', ckr);
    }
    /** The one failure of an unwrap that depends on the ciphertext. */
    static invalidCiphertext() {
        return new TokenError('CIPHERTEXT_INVALID', CIPHERTEXT_MESSAGE, 'request');
    }
    static unavailable(message, ckr) {
        return new TokenError('BACKEND_UNAVAILABLE', message, 'token', ckr);
    }
}
