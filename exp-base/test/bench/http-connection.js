import { connect, createSecureContext } from 'node:tls';
export const makeTarget = (port, tls) => ({
    port,
    secureContext: createSecureContext({ ...tls, minVersion: 'TLSv1.3' }),
});
/**
 * A client's side of HTTP/1.1 with as little work as can be, so that one core of it keeps one core of a server busy: the
 * bytes of a request are made beforehand, and of a reply only status, Content-Length and body are looked at.
 */
export class HttpConnection {
    /** Whether the handshake resumed a session. */
    resumed;
    #socket;
    #received = '';
    #onReply;
    #onLost;
    #session;
    constructor(socket) {
        this.#socket = socket;
        this.resumed = socket.isSessionReused();
        socket.on('data', (chunk) => this.#take(chunk));
        const lost = (error) => this.#onLost?.(error ?? new Error('the server closed the connection'));
        socket.on('error', lost);
        socket.on('close', () => lost());
    }
    static open({ port, secureContext }, { session } = {}) {
        return new Promise((resolve, reject) => {
            const socket = connect({
                host: '127.0.0.1',
                servername: 'localhost',
                port,
                secureContext,
                ...(session && { session }),
            });
            socket.setNoDelay(true);
            let given;
            socket.on('session', (latest) => {
                given = latest;
                if (connection !== undefined)
                    connection.#session = latest;
            });
            let connection;
            socket.once('error', reject);
            socket.once('secureConnect', () => {
                socket.off('error', reject);
                connection = new HttpConnection(socket);
                connection.#session = given;
                resolve(connection);
            });
        });
    }
    /** The latest that the server gave for resuming; it comes with the first reply at the latest. */
    get session() {
        return this.#session;
    }
    /** Sends one request; the reply before must have come. */
    send(request, onReply) {
        this.#onReply = onReply;
        this.#socket.write(request);
    }
    /** Rejects when the connection is lost. */
    exchange(request) {
        return new Promise((resolve, reject) => {
            this.#onLost = reject;
            this.send(request, resolve);
        });
    }
    onLost(handler) {
        this.#onLost = handler;
    }
    close() {
        this.#onLost = undefined;
        this.#socket.destroy();
    }
    #take(chunk) {
        this.#received += chunk.toString('latin1');
        const headEnd = this.#received.indexOf('\r\n\r\n');
        if (headEnd === -1)
            return;
        const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(this.#received) ?? [];
        const end = headEnd + 4 + Number(length ?? 0);
        if (this.#received.length < end)
            return;
        const reply = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(headEnd + 4, end) };
        this.#received = this.#received.slice(end);
        const onReply = this.#onReply;
        this.#onReply = undefined;
        if (onReply === undefined)
            this.#onLost?.(new Error(`a reply that nobody asked for: ${reply.body}`));
        else
            onReply(reply);
    }
}
