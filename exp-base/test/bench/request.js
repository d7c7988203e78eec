import { randomUUID } from 'node:crypto';
export const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
/** A call as Managed HSM makes it. */
export function makeCall({ pathPrefix, key, operation, alg, value, result }) {
    const body = JSON.stringify({
        request_context: { request_id: randomUUID(), correlation_id: randomUUID(), pool_name: 'contoso-mhsm' },
        alg,
        value: base64url(value),
    });
    const head = [
        `POST /${pathPrefix}/${key}/${operation}?api-version=0.1-preview HTTP/1.1`,
        'Host: localhost',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
    ];
    return {
        request: Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`),
        body: JSON.stringify({ value: base64url(result) }),
    };
}
/** Wrap and unwrap of one data key. */
export function makePair(where, dataKey, wrapped) {
    return [
        makeCall({ ...where, operation: 'wrapkey', value: dataKey, result: wrapped }),
        makeCall({ ...where, operation: 'unwrapkey', value: wrapped, result: dataKey }),
    ];
}
export const isRight = (call, { status, body }) => status === 200 && body === call.body;
export function assertRight(call, reply) {
    if (!isRight(call, reply))
        throw new Error(`a wrong reply: ${reply.status} ${reply.body}`);
}
