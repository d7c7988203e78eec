import { connect } from 'node:tls';
import { FrameReader, TtlvError } from "../../ttlv-codec/src/index.js";
/** The connection could not be made: nothing was sent. `code` is Node's or OpenSSL's. */
export class ConnectFailed extends Error {
    name = 'ConnectFailed';
    code;
    constructor(code) {
        super(`no connection: ${code}`);
        this.code = code;
    }
}
/** The connection ended before the reply was complete. */
export class ConnectionLost extends Error {
    name = 'ConnectionLost';
    /** Whether any part of the reply had come. */
    replyStarted;
    constructor(replyStarted) {
        super('the connection was lost');
        this.replyStarted = replyStarted;
    }
}
/** More than any reply that is asked for here: `keys list` asks for a page at a time. */
const MAX_REPLY_BYTES = 1_048_576;
/**
 * One TLS connection, with one request under way at a time: only so does a reply belong to its request on every server,
 * and only so is a cancelled request's late reply nobody else's.
 */
export class Connection {
    #socket;
    #reader;
    #onClose;
    #waiting;
    #replyStarted = false;
    #exchanges = 0;
    #open = true;
    #lastUsed = performance.now();
    constructor(socket, onClose) {
        this.#socket = socket;
        this.#onClose = onClose;
        this.#reader = new FrameReader((frame) => this.#deliver(frame), { maxBytes: MAX_REPLY_BYTES });
        socket.on('data', (chunk) => this.#take(chunk));
        socket.on('error', () => this.close());
        socket.on('end', () => this.close());
        socket.on('close', () => this.close());
    }
    /** @param onClose called once, when the connection has ended for whatever reason */
    static open(options, timeoutMs, onClose) {
        return new Promise((resolve, reject) => {
            const socket = connect(options);
            socket.setNoDelay(true);
            const fail = (code) => {
                clearTimeout(timer);
                socket.destroy();
                reject(new ConnectFailed(code));
            };
            const timer = setTimeout(() => fail('ETIMEDOUT'), timeoutMs);
            const onError = (error) => fail(error.code ?? 'UNKNOWN');
            const onEnd = () => fail('ECONNRESET');
            socket.once('error', onError);
            socket.once('close', onEnd);
            socket.once('secureConnect', () => {
                clearTimeout(timer);
                socket.off('error', onError);
                socket.off('close', onEnd);
                resolve(new Connection(socket, onClose));
            });
        });
    }
    get isOpen() {
        return this.#open;
    }
    /** Whether an exchange succeeded on it before, so that its end may be the server's idle timeout and nothing worse. */
    get wasUsed() {
        return this.#exchanges > 0;
    }
    /** When the last exchange ended, on `performance.now()`'s clock. */
    get lastUsed() {
        return this.#lastUsed;
    }
    /** Keeps the process from ending, or not: an idle connection should not. */
    set keepsAlive(busy) {
        if (busy)
            this.#socket.ref();
        else
            this.#socket.unref();
    }
    /**
     * Sends a request and gives the reply, a buffer that is the caller's to zero. `request` is zeroed once it was sent.
     * Rejects with the signal's reason, a TtlvError or {@link ConnectionLost}, and then the connection has ended: a reply
     * that comes too late would be taken for the next one's.
     */
    exchange(request, signal) {
        return new Promise((resolve, reject) => {
            const settle = (done) => {
                signal.removeEventListener('abort', onAbort);
                this.#waiting = undefined;
                this.#lastUsed = performance.now();
                done();
            };
            const onAbort = () => this.#end(signal.reason);
            this.#waiting = {
                resolve: (frame) => settle(() => resolve(frame)),
                // What the transport throws and what a signal carries are both errors of whoever made them.
                reject: (error) => settle(() => reject(error)),
            };
            this.#replyStarted = false;
            if (!this.#open) {
                request.fill(0);
                this.#end(new ConnectionLost(false));
                return;
            }
            signal.addEventListener('abort', onAbort, { once: true });
            this.#socket.write(request, () => request.fill(0));
        });
    }
    close() {
        this.#end(new ConnectionLost(this.#replyStarted));
    }
    #take(chunk) {
        this.#replyStarted = true;
        try {
            if (this.#waiting === undefined)
                throw new TtlvError('TRAILING', 0, 'a reply that nobody asked for');
            this.#reader.push(chunk);
            if (this.#waiting === undefined && this.#reader.pending > 0)
                throw new TtlvError('TRAILING', 0, 'more than a reply');
        }
        catch (error) {
            this.#end(error);
        }
        finally {
            chunk.fill(0);
        }
    }
    #deliver(frame) {
        const waiting = this.#waiting;
        if (waiting === undefined) {
            frame.fill(0);
            this.#end(new ConnectionLost(true));
            return;
        }
        this.#exchanges += 1;
        waiting.resolve(frame);
    }
    #end(reason) {
        this.#waiting?.reject(reason);
        if (!this.#open)
            return;
        this.#open = false;
        this.#reader.discard();
        this.#socket.destroy();
        this.#onClose();
    }
}
