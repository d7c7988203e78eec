import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { parsePemCertificates } from "../config/fields.js";
import { cut } from "../telemetry/audit.js";
/** Days before its end at which a certificate is announced, each once. */
const THRESHOLDS = [1, 7, 14, 30];
const CHECK_MS = 3_600_000;
const DAY_MS = 24 * 3_600_000;
/** More than anybody's configuration has; a bound on what metrics are asked to carry. */
const MAX_CERTIFICATES = 100;
/** Watches the certificates of a configuration, and tells the log in time that one of them ends. */
export class ExpiryWatch {
    #log;
    #now;
    /** The smallest threshold that was told of each certificate; 0 for one that has expired. */
    #told = new Map();
    #timer;
    #certificates = [];
    constructor(log, config, now = Date.now) {
        this.#log = log;
        this.#now = now;
        this.#timer = setInterval(() => this.check(), CHECK_MS);
        this.#timer.unref();
        this.follow(config);
    }
    /** Watches the certificates of another configuration from now on, and looks at them. */
    follow(config) {
        this.#certificates = certificatesOf(config).slice(0, MAX_CERTIFICATES);
        this.check();
    }
    check() {
        for (const { fingerprint, expires, role, subject } of this.#certificates) {
            const left = (expires - this.#now()) / DAY_MS;
            const threshold = left < 0 ? 0 : THRESHOLDS.find((days) => left <= days);
            if (threshold === undefined || threshold >= (this.#told.get(fingerprint) ?? Infinity))
                continue;
            this.#told.set(fingerprint, threshold);
            const fields = { role, subject, expires: new Date(expires).toISOString(), days_left: Math.floor(left) };
            if (threshold === 0)
                this.#log.error('certificate_expired', fields);
            else
                this.#log.warn('certificate_expires', fields);
        }
    }
    daysLeft() {
        const now = this.#now();
        return this.#certificates.map(({ role, subject, expires }) => ({ role, subject, days: (expires - now) / DAY_MS }));
    }
    close() {
        clearInterval(this.#timer);
    }
}
/** Every certificate whose end would stop something, each once. */
export function certificatesOf({ listen, pools, backends }) {
    const [server, ...chain] = serverCertificates(listen.tls);
    const clientCas = pools
        .flatMap(({ clients }) => clients)
        .flatMap(({ roots, intermediates }) => [...roots, ...intermediates]);
    const kmip = Object.values(backends).flatMap((backend) => (backend.kind === 'kmip' ? [backend.tls] : []));
    const lives = [
        ...(server === undefined ? [] : [lifeOf('server', server)]),
        ...chain.map((certificate) => lifeOf('server_chain', certificate)),
        ...clientCas.map((certificate) => lifeOf('client_ca', certificate)),
        ...kmip.flatMap(({ certificate }) => parse(certificate).map((parsed) => lifeOf('kmip_client', parsed))),
        ...kmip.flatMap(({ ca }) => parse(ca).map((parsed) => lifeOf('kmip_ca', parsed))),
    ];
    return [...new Map(lives.map((life) => [life.fingerprint, life])).values()];
}
const parse = (pem) => parsePemCertificates(Buffer.from(pem).toString('latin1')) ?? [];
function serverCertificates(credentials) {
    const options = credentials.secureContextOptions();
    if (Buffer.isBuffer(options.cert))
        return parse(options.cert);
    // Of a PKCS#12 file, only OpenSSL can say what is in it.
    const context = createSecureContext(options).context;
    const certificate = context.getCertificate?.();
    return certificate ? [new X509Certificate(certificate)] : [];
}
const lifeOf = (role, { subject, validTo, fingerprint256 }) => ({
    role,
    subject: cut(subject.replaceAll('\n', ', ')),
    fingerprint: fingerprint256,
    expires: Date.parse(validTo),
});
