import { X509Certificate } from 'node:crypto';
import { cut } from "../telemetry/audit.js";
/** A resumed session whose chain nobody remembers; a full handshake puts it right. */
export const CHAIN_FORGOTTEN = 'CHAIN_FORGOTTEN';
/** A certificate that OpenSSL verified, but by an issuing CA that Node.js does not show (nodejs/node#65579). */
export const CHAIN_HIDDEN = 'CHAIN_HIDDEN';
/** A client whose certificate lead to a root that is trusted no longer, or not as far as can be seen without a new handshake. */
export const TRUST_CHANGED = 'TRUST_CHANGED';
/** To parse a chain takes a good part of what a handshake costs, and most connections are of a few clients. */
export class SeenChains {
    /** By the leaf's fingerprint; the oldest first. */
    #chains = new Map();
    find(fingerprint) {
        return this.#chains.get(fingerprint);
    }
    /** @param resumed whether only the leaf is left to look at */
    read(socket, fingerprint, resumed) {
        // getPeerX509Certificate() would empty the chain that this one walks.
        const peer = socket.getPeerCertificate(true);
        const chain = { leaf: new X509Certificate(peer.raw), sent: resumed ? [] : chainAbove(peer) };
        if (resumed)
            return chain;
        const [oldest] = this.#chains.keys();
        if (this.#chains.size === MAX_SEEN && oldest !== undefined)
            this.#chains.delete(oldest);
        this.#chains.set(fingerprint, chain);
        return chain;
    }
}
const MAX_SEEN = 256;
/** Must be called before anything else asks the socket for its peer's certificate. */
export function identifyClient(socket, trust, seen) {
    const resumed = socket.isSessionReused();
    const connection = { remote_address: socket.remoteAddress ?? 'gone', tls_resumed: resumed };
    const peer = socket.getPeerCertificate(false);
    if (!('raw' in peer))
        return { client: { audit: connection, refusal: 'NO_CERTIFICATE' } };
    const commonName = oneCommonName(peer);
    const audit = {
        ...connection,
        ...(commonName !== undefined && { client_cn: cut(commonName) }),
        client_cert_sha256: peer.fingerprint256.replaceAll(':', '').toLowerCase(),
    };
    if (!socket.authorized)
        return { client: { audit, refusal: String(socket.authorizationError) } };
    const known = seen.find(peer.fingerprint256);
    let chain = known ?? seen.read(socket, peer.fingerprint256, resumed);
    let roots = trust.rootsOf(chain.leaf, chain.sent);
    if (roots.size === 0 && known !== undefined && !resumed) {
        // It may have come by another issuing CA this time.
        chain = seen.read(socket, peer.fingerprint256, resumed);
        roots = trust.rootsOf(chain.leaf, chain.sent);
    }
    if (roots.size === 0)
        return { client: { audit, refusal: resumed ? CHAIN_FORGOTTEN : CHAIN_HIDDEN } };
    return {
        client: { audit, verified: { commonName, roots }, expires: Date.parse(chain.leaf.validTo) },
        proof: { ...chain, traced: trust.traces },
    };
}
/**
 * The same client under another trust; OpenSSL looks at a connection's certificates only once.
 *
 * @param traced what was found for certificates that came with other connections; it is added to
 */
export function identifyAgain(identified, trust, traced = new Map()) {
    const { client, proof } = identified;
    const { verified } = client;
    if (verified === undefined || proof === undefined)
        return identified;
    if (!proof.traced && trust.trustsEach(verified.roots))
        return identified;
    const name = [proof.leaf, ...proof.sent].map(({ fingerprint256 }) => fingerprint256).join();
    const roots = traced.get(name) ?? trust.trace(proof.leaf, proof.sent);
    traced.set(name, roots);
    if (roots.size === 0)
        return { client: { audit: client.audit, refusal: TRUST_CHANGED } };
    return { client: { ...client, verified: { ...verified, roots } }, proof: { ...proof, traced: true } };
}
/** A client where none has to show a certificate: `clientAuth: disabled`. */
export const anonymousClient = (socket) => ({
    audit: { remote_address: socket.remoteAddress ?? 'gone', tls_resumed: socket.isSessionReused() },
});
function oneCommonName(peer) {
    const name = peer.subject?.CN;
    return typeof name === 'string' ? name : undefined;
}
/** The certificates above the leaf; the root, which names itself as its issuer, comes last. */
function chainAbove(peer) {
    const chain = [];
    let below = peer;
    for (let above = peer.issuerCertificate; above && above !== below; above = above.issuerCertificate) {
        chain.push(new X509Certificate(above.raw));
        below = above;
    }
    return chain;
}
