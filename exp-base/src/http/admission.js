import { refuse } from "./proxy-error.js";
/** Who is let in, before it matters what they want. */
export class Admission {
    #clientAuth;
    constructor(clientAuth) {
        this.#clientAuth = clientAuth;
    }
    /** Why a client gets nothing here at all; `undefined` for one with a valid certificate. */
    refusalOf(client) {
        if (this.#clientAuth === 'disabled')
            return undefined;
        const { verified, refusal, expires = Infinity } = client;
        if (verified === undefined)
            return refuse('UNAUTHORIZED', { reason: 'CERTIFICATE_REFUSED', detail: refusal });
        if (Date.now() <= expires)
            return undefined;
        return refuse('UNAUTHORIZED', { reason: 'CERTIFICATE_REFUSED', detail: 'CERT_HAS_EXPIRED' });
    }
    mayUse({ verified }, pool) {
        return this.#clientAuth === 'disabled' || (verified !== undefined && pool.clients.allows(verified));
    }
}
