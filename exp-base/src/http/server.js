import { STATUS_CODES } from 'node:http';
import { getRequestListener, RequestError } from '@hono/node-server';
import { systemCode } from "../../adapters/contract/index.js";
import { writeAudit } from "../telemetry/audit.js";
import { Exchange } from "./exchange.js";
import { refuse } from "./proxy-error.js";
import { reportMalformedBody } from "./request-body.js";
const BAD_HOST = 'the Host header or the request target is malformed';
/**
 * Answers a listener's requests with the application, and with a ProxyError those that never reach it: what Node.js's
 * parser refuses, what has no usable Host header, and CONNECT.
 */
export function serveHttp(listener, served, telemetry) {
    const { server } = listener;
    const requests = new RequestCount();
    /** For a request that the application cannot be shown. */
    const unshowable = (incoming, outgoing, error) => {
        const { socket } = incoming;
        const { admission, deadlineMs } = served();
        const exchange = new Exchange(incoming, outgoing, listener.clientOf(socket), deadlineMs, telemetry);
        try {
            return exchange.fail(admission.refusalOf(exchange.client) ?? error);
        }
        finally {
            exchange.end();
        }
    };
    const answer = (incoming, outgoing) => {
        requests.begin(incoming.socket, outgoing);
        const errorHandler = (error) => unshowable(incoming, outgoing, error instanceof RequestError ? refuse('MALFORMED', { saying: BAD_HOST }) : error);
        void getRequestListener(served().app.fetch, { errorHandler })(incoming, outgoing);
    };
    server.on('request', answer);
    server.on('checkContinue', answer);
    server.on('checkExpectation', (incoming, outgoing) => {
        requests.begin(incoming.socket, outgoing);
        const reply = unshowable(incoming, outgoing, refuse('EXPECTATION'));
        outgoing.writeHead(reply.status, Object.fromEntries(reply.headers));
        void reply.text().then((text) => outgoing.end(text));
    });
    /** For what is not even a request: written past Node.js's response object, of which there is none. */
    const answerRaw = (socket, refusal) => {
        const client = listener.clientOf(socket);
        const { status, code, message, headers, reason, detail } = served().admission.refusalOf(client) ?? refusal;
        writeAudit(telemetry, {
            status,
            code,
            message,
            reason,
            detail,
            total_ms: 0,
            ...client.audit,
        });
        const body = JSON.stringify({ code, message });
        const head = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...headers };
        const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
        socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
    };
    server.on('connect', (_incoming, socket) => answerRaw(socket, refuse('METHOD_NOT_ALLOWED')));
    server.on('clientError', (error, socket) => {
        const code = systemCode(error);
        const current = requests.currentOf(socket);
        if (!socket.writable || !isRequestError(code))
            socket.destroy();
        else if (current === undefined)
            answerRaw(socket, parserRefusal(code));
        else if (!current.req.complete)
            reportMalformedBody(current.req);
        // The trouble is behind a request that is being answered: that answer goes out, and nothing after it.
        else
            current.once('close', () => socket.destroy());
    });
    return requests;
}
/** Codes of Node.js's HTTP parser and its timers, as opposed to those of a socket that failed. */
const isRequestError = (code) => code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT';
function parserRefusal(code) {
    if (code === 'HPE_HEADER_OVERFLOW')
        return refuse('HEADERS_TOO_LARGE', { detail: code });
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
        return refuse('REQUEST_TIMEOUT', { detail: code });
    return refuse('MALFORMED', { detail: code });
}
class RequestCount {
    #current = new Map();
    #watched = new WeakSet();
    #onNone;
    get underWay() {
        return this.#current.size;
    }
    /** HTTP/1.1 answers in order: a connection has one request that is being answered, and others may wait behind it. */
    begin(socket, outgoing) {
        this.#current.set(socket, outgoing);
        outgoing.once('close', () => {
            if (this.#current.get(socket) === outgoing)
                this.#end(socket);
        });
        if (this.#watched.has(socket))
            return;
        this.#watched.add(socket);
        // A reply that still waits behind another when its connection dies is never told so.
        socket.once('close', () => this.#end(socket));
    }
    #end(socket) {
        this.#current.delete(socket);
        if (this.#current.size === 0)
            this.#onNone?.();
    }
    currentOf(socket) {
        return this.#current.get(socket);
    }
    isServing(socket) {
        return this.#current.has(socket);
    }
    async passed(patienceMs) {
        const current = [...this.#current.values()].map((outgoing) => new Promise((resolve) => void outgoing.once('close', resolve)));
        if (current.length === 0)
            return;
        let timer;
        const patience = new Promise((resolve) => (timer = setTimeout(resolve, patienceMs)));
        await Promise.race([Promise.all(current), patience]);
        clearTimeout(timer);
    }
    async settled(patienceMs) {
        if (this.#current.size === 0)
            return 0;
        await new Promise((resolve) => {
            const timer = setTimeout(resolve, patienceMs);
            this.#onNone = () => {
                clearTimeout(timer);
                resolve();
            };
        });
        return this.#current.size;
    }
}
