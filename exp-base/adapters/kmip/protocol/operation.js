/** The server understood and said no. */
export class KmipRefusal extends Error {
    name = 'KmipRefusal';
    operation;
    /** The numeric result reason, all that is ever looked at. */
    reason;
    constructor(operation, reason) {
        super(`operation 0x${operation.toString(16)} was refused with reason 0x${reason.toString(16)}`);
        this.operation = operation;
        this.reason = reason;
    }
}
/** The reply is not an answer to what was asked. Whatever comes on that connection after it cannot be trusted either. */
export class ReplyMismatch extends Error {
    name = 'ReplyMismatch';
}
