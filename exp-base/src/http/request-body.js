import { isUtf8 } from 'node:buffer';
import { AdapterError } from "../../adapters/contract/index.js";
import { RequestInvalid } from "../ekm/request-invalid.js";
import { refuse } from "./proxy-error.js";
/** Reads and parses a JSON object, of at most `maxBytes`, before the call's deadline. */
export async function readJsonObject(incoming, outgoing, maxBytes, call) {
    const { 'content-type': type = '', 'content-encoding': encoding, expect } = incoming.headers;
    if (!/^application\/json[\t ]*(?:;|$)/i.test(type) || encoding !== undefined)
        throw refuse('CONTENT_TYPE');
    if (Number(incoming.headers['content-length'] ?? 0) > maxBytes)
        throw tooLarge(maxBytes);
    if (expect !== undefined)
        outgoing.writeContinue();
    const bytes = await call.run(collect(incoming, maxBytes), (late) => late.fill(0));
    try {
        return parseObject(bytes);
    }
    finally {
        // On wrapkey it holds a data key.
        bytes.fill(0);
    }
}
const malformed = Symbol('malformed body');
/** Tells whoever reads the body of `incoming` that the parser stumbled over it. */
export const reportMalformedBody = (incoming) => incoming.emit(malformed);
const tooLarge = (maxBytes) => refuse('BODY_TOO_LARGE', { saying: `the request body is larger than ${maxBytes} bytes` });
function collect(incoming, maxBytes) {
    return new Promise((resolve, reject) => {
        const chunks = [];
        const wipe = () => {
            for (const chunk of chunks)
                chunk.fill(0);
        };
        const fail = (error) => {
            wipe();
            reject(error);
        };
        let length = 0;
        incoming.on('data', (chunk) => {
            length += chunk.length;
            chunks.push(chunk);
            if (length > maxBytes)
                fail(tooLarge(maxBytes));
        });
        incoming.once('end', () => {
            const [first] = chunks;
            if (chunks.length === 1 && first !== undefined)
                return resolve(first);
            resolve(Buffer.concat(chunks));
            wipe();
        });
        incoming.once(malformed, () => fail(refuse('MALFORMED')));
        incoming.once('error', () => fail(new AdapterError('CANCELLED', 'the request ended before its body did')));
    });
}
function parseObject(bytes) {
    if (!isUtf8(bytes))
        throw new RequestInvalid('the request body is not UTF-8');
    let body;
    try {
        body = JSON.parse(bytes.toString('utf8'));
    }
    catch {
        throw new RequestInvalid('the request body is not JSON');
    }
    if (typeof body === 'object' && body !== null && !Array.isArray(body))
        return body;
    throw new RequestInvalid('the request body is not a JSON object');
}
