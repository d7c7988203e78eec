import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';
import { systemCode } from "../../../adapters/contract/index.js";
const HANDSHAKE_MS = 3000;
const GOODBYE_MS = 500;
/** One handshake as a client without a certificate; how it ended, if not well, as Node.js's or OpenSSL's code. */
export function handshake({ host, port }, options) {
    return new Promise((resolve) => {
        // No CA: whom the server can be trusted by is looked at elsewhere, and no root of Node.js's own joins the chain.
        const socket = connect({ host, port, ca: [], rejectUnauthorized: false, ...options });
        const settle = (result) => {
            clearTimeout(timer);
            // In good order, so that a server does not take it for a handshake that failed.
            if ('refused' in result)
                socket.destroy();
            else
                socket.end();
            setTimeout(() => socket.destroy(), GOODBYE_MS).unref();
            resolve(result);
        };
        const timer = setTimeout(() => settle({ refused: 'ETIMEDOUT' }), HANDSHAKE_MS);
        socket.on('error', (error) => settle({ refused: systemCode(error) }));
        socket.once('close', () => settle({ refused: 'ECONNRESET' }));
        socket.once('secureConnect', () => {
            const peer = socket.getPeerCertificate(true);
            if (!('raw' in peer))
                settle({ refused: 'NO_CERTIFICATE' });
            else
                settle({ protocol: socket.getProtocol() ?? '', cipher: socket.getCipher().name, chain: chainOf(peer) });
        });
    });
}
function chainOf(peer) {
    const others = [];
    for (let below = peer, above = peer.issuerCertificate; above && above !== below; above = above.issuerCertificate) {
        others.push(new X509Certificate(above.raw));
        below = above;
    }
    return [new X509Certificate(peer.raw), ...others];
}
