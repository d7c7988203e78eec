import { createHash } from 'node:crypto';
/** More CA certificates than any PKI has issuing CAs in use; a bound on what clients can make the gateway remember. */
const MAX_LEARNED = 1000;
const MAX_PATH_LENGTH = 8;
/**
 * The certificates that client certificates are traced back to. OpenSSL verifies a chain against the roots of all entries
 * together. Where all entries trust the same roots, that is the answer. Where they differ, this tells which of the roots a
 * certificate leads to, also on a resumed session, where only the client's own certificate is left to look at: the issuing
 * CAs that clients once sent, and OpenSSL verified, are remembered for that.
 */
export class Trust {
    /** Every trusted certificate, for OpenSSL. */
    ca;
    /**
     * Goes into the TLS session id context (at most 32 bytes): a session that began under other roots is not resumed, but
     * quietly replaced by a full handshake.
     */
    sessionContext;
    /** Whether {@link Trust.rootsOf} tells which roots, each of them traced; otherwise it says: one of these. */
    traces;
    /** Is told of each issuing CA that a client taught. */
    onLearned;
    #rootSets;
    #roots;
    #bySubject = new Map();
    #known = new Set();
    #learned = [];
    /** @param before another trust, whose learned issuing CAs stay known */
    constructor(entries, before) {
        this.#rootSets = entries.map(({ roots }) => new Set(roots.map((root) => root.fingerprint256)));
        this.#roots = new Set(this.#rootSets.flatMap((fingerprints) => [...fingerprints]));
        this.traces = this.#rootSets.some(({ size }) => size !== this.#roots.size);
        for (const { roots, intermediates } of entries) {
            for (const certificate of [...roots, ...intermediates])
                this.#remember(certificate);
        }
        this.ca = [...this.#bySubject.values()].flat().map((certificate) => certificate.toString());
        const fingerprints = [...this.#roots].sort().join();
        this.sessionContext = createHash('sha256').update(fingerprints).digest('hex').slice(0, 32);
        for (const certificate of before === undefined ? [] : before.#learned)
            this.#addLearned(certificate);
    }
    /**
     * The roots that `leaf`, which OpenSSL has verified under this trust, leads to.
     *
     * @param sent what came with it at a full handshake; empty on a resumed session
     */
    rootsOf(leaf, sent, now = Date.now()) {
        return this.traces ? this.trace(leaf, sent, now) : this.#roots;
    }
    /**
     * Whether a certificate that leads to one of `roots`, it is not known to which, is trusted by every entry as well as
     * before: a trust that replaced another asks so, before it asks {@link Trust.trace}.
     */
    trustsEach(roots) {
        return this.#rootSets.every((set) => [...roots].every((root) => set.has(root)));
    }
    /** Remembers an issuing CA that another process learned, if it leads to a root. Returns whether it is new. */
    learn(issuer, now = Date.now()) {
        return isAuthority(issuer, now) && this.trace(issuer, [], now).size > 0 && this.#addLearned(issuer);
    }
    /** The roots that `certificate` can be shown to lead to, without OpenSSL's verdict. */
    trace(certificate, sent, now = Date.now()) {
        const found = new Set();
        const climb = (from, path) => {
            if (this.#roots.has(from.fingerprint256)) {
                found.add(from.fingerprint256);
                // From the root down: whoever is told of them can follow each at once.
                for (const step of path.toReversed())
                    if (this.#addLearned(step))
                        this.onLearned?.(step);
                return;
            }
            if (path.length === MAX_PATH_LENGTH)
                return;
            const candidates = [...(this.#bySubject.get(from.issuer) ?? []), ...sent];
            for (const issuer of new Set(candidates)) {
                const isRoot = this.#roots.has(issuer.fingerprint256);
                if (path.includes(issuer) || !(isRoot || isAuthority(issuer, now)))
                    continue;
                if (issued(issuer, from))
                    climb(issuer, [...path, issuer]);
            }
        };
        climb(certificate, []);
        return found;
    }
    #addLearned(certificate) {
        if (this.#known.has(certificate.fingerprint256) || this.#learned.length === MAX_LEARNED)
            return false;
        this.#learned.push(certificate);
        this.#remember(certificate);
        return true;
    }
    #remember(certificate) {
        if (this.#known.has(certificate.fingerprint256))
            return;
        this.#known.add(certificate.fingerprint256);
        const namesakes = this.#bySubject.get(certificate.subject) ?? [];
        this.#bySubject.set(certificate.subject, [...namesakes, certificate]);
    }
}
const isAuthority = ({ ca, validFrom, validTo }, now) => ca && Date.parse(validFrom) <= now && now <= Date.parse(validTo);
const issued = (issuer, certificate) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
