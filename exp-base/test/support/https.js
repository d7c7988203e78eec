import { Agent, request } from 'node:https';
import { connect } from 'node:tls';
export const API = 'api-version=0.1-preview';
export const CONTEXT = { request_id: 'r-1', correlation_id: 'c-1', pool_name: 'p-1' };
/** What a client needs to connect as `identity`; as nobody for `null`. */
export const tlsOptions = (pki, identity = pki.client) => ({
    ca: pki.serverCa.certificate,
    ...(identity && { cert: identity.certificate, key: identity.key }),
});
export const makeAgent = (pki, identity = pki.client) => new Agent({ ...tlsOptions(pki, identity), keepAlive: true, maxSockets: 32 });
/** One request over HTTPS; without an agent, on a connection of its own. */
export function send(port, pki, wanted, identity = pki.client) {
    const raw = wanted.body === undefined ? undefined : bodyBytes(wanted.body);
    return new Promise((resolve, reject) => {
        const outgoing = request({
            host: 'localhost',
            port,
            method: wanted.method ?? 'POST',
            path: wanted.path,
            headers: {
                'content-type': 'application/json',
                ...(raw && { 'content-length': String(raw.length) }),
                ...wanted.headers,
            },
            ...(wanted.agent ? { agent: wanted.agent } : { agent: false, ...tlsOptions(pki, identity) }),
        });
        outgoing.on('error', reject);
        outgoing.on('response', (incoming) => {
            let text = '';
            incoming.setEncoding('utf8');
            incoming.on('data', (chunk) => (text += chunk));
            incoming.on('error', reject);
            incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: parse(text) }));
        });
        outgoing.end(raw);
    });
}
function bodyBytes(body) {
    if (Buffer.isBuffer(body))
        return body;
    return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
function parse(text) {
    try {
        return JSON.parse(text);
    }
    catch {
        return {};
    }
}
export function openSocket(port, pki, options = {}) {
    return new Promise((resolve, reject) => {
        const socket = connect({ host: 'localhost', port, ...tlsOptions(pki), ...options }, () => resolve(socket));
        socket.once('error', reject);
    });
}
/** Writes `bytes` as they are and reads until the server closes the connection. */
export async function exchangeRaw(port, pki, bytes, identity) {
    const socket = await openSocket(port, pki, tlsOptions(pki, identity));
    return new Promise((resolve) => {
        let text = '';
        socket.on('data', (chunk) => (text += chunk.toString('latin1')));
        socket.on('error', () => resolve(text));
        socket.on('close', () => resolve(text));
        socket.write(bytes);
    });
}
