import { randomBytes, X509Certificate } from 'node:crypto';
import { unwrapAes, unwrapRsa, wrapAes, wrapRsa } from "./crypto.js";
/** A failure as the proxy answers it. */
export class Refusal extends Error {
    status;
    code;
    headers;
    constructor(status, code, message = 'refused', headers = {}) {
        super(message);
        this.status = status;
        this.code = code;
        this.headers = headers;
    }
}
export const badRequest = (message = 'refused') => new Refusal(400, 'BadRequest', message);
const PREFIX = '/azureekm/contoso';
/** A proxy that keeps every rule. */
export const right = {
    tls: {},
    isAllowed: (socket, { commonName, root }) => {
        const { raw, subject } = socket.getPeerCertificate();
        if (raw === undefined || !socket.authorized || subject?.CN !== commonName)
            return false;
        return new X509Certificate(raw).verify(root.publicKey);
    },
    turnAway: () => new Refusal(401, 'Unauthorized', 'refused', { connection: 'close' }),
    closeAlways: false,
    below: (path) => path.startsWith(`${PREFIX}/`) ? path.slice(PREFIX.length + 1) : undefined,
    unknownPath: () => new Refusal(404, 'NotFound'),
    operationOf: (name) => ['metadata', 'wrapkey', 'unwrapkey'].includes(name) ? name : undefined,
    methodRefusal: (method) => method === 'POST' ? undefined : new Refusal(405, 'MethodNotAllowed', 'refused', { allow: 'POST' }),
    illegalKeyName: (name) => (/^[A-Za-z0-9-]{1,64}$/.test(name) ? undefined : badRequest()),
    findKey: (keys, name) => keys.get(name),
    unknownKey: () => new Refusal(404, 'KeyNotFound'),
    versionIsFine: (query) => {
        const versions = query.getAll('api-version');
        return versions.length === 1 && versions[0] === '0.1-preview';
    },
    contentTypeIsFine: (type) => /^application\/json\s*(?:;|$)/i.test(type),
    headersAreFine: () => undefined,
    maxBodyBytes: 65_536,
    parse: (bytes) => {
        const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
        if (typeof body === 'object' && body !== null && !Array.isArray(body))
            return body;
        throw badRequest();
    },
    unparsable: () => badRequest(),
    contextIsFine: (context) => {
        if (typeof context !== 'object' || context === null || Array.isArray(context))
            return false;
        const { request_id = '', correlation_id, pool_name } = context;
        return [request_id, correlation_id, pool_name].every((member) => typeof member === 'string');
    },
    membersAreFine: () => true,
    algOf: (body) => body['alg'],
    valueOf: (body) => body['value'],
    decode: (text) => {
        const bytes = Buffer.from(text, 'base64url');
        return bytes.toString('base64url') === text ? bytes : undefined;
    },
    encode: (bytes) => bytes.toString('base64url'),
    disabledRefusal: () => new Refusal(403, 'KeyDisabled'),
    badLength: () => badRequest(),
    cannotUnwrap: () => badRequest('value cannot be unwrapped'),
    unknownAlgorithm: () => badRequest(),
    algorithm: (name) => name,
    takes: ({ key, alg, bytes: { length } }) => {
        switch (alg) {
            case 'A256KW':
                return length >= 16 && length % 8 === 0;
            case 'A256KWP':
                return length >= 1;
            default:
                return key.kty === 'RSA' && length >= 1 && length <= key.bytes - (alg === 'RSA-OAEP' ? 42 : 66);
        }
    },
    takesWrapped: ({ key, alg, bytes: { length } }) => key.kty === 'RSA' ? length === key.bytes : length % 8 === 0 && length >= (alg === 'A256KW' ? 24 : 16),
    kekOf: (key) => (key.kty === 'oct' ? key.kek : randomBytes(32)),
    wrap: ({ key, alg, bytes }, kek) => key.kty === 'oct'
        ? wrapAes(kek, alg, bytes)
        : wrapRsa(key.publicKey, alg, bytes),
    unwrap: ({ key, alg, bytes }, kek) => key.kty === 'oct'
        ? unwrapAes(kek, alg, bytes)
        : unwrapRsa(key.privateKey, alg, bytes),
    unwrapped: (bytes) => bytes,
    info: () => ({
        api_version: '0.1-preview',
        proxy_vendor: 'test',
        proxy_name: 'a deliberately simple proxy 1.0',
        ekm_vendor: 'test',
        ekm_product: 'memory 1.0',
    }),
    metadata: (reply) => reply,
    before: async () => undefined,
    renderSuccess: (body) => ({
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
    }),
    renderFailure: ({ status, code, message, headers }) => ({
        status,
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ code, message }),
    }),
    malformed: (refusal) => `HTTP/1.1 ${refusal.status} X\r\nContent-Type: application/json\r\nContent-Length: ${refusal.body.length}\r\nConnection: close\r\n\r\n${refusal.body}`,
    stopsAtMalformed: false,
    expectation: undefined,
}; // prettier-ignore
