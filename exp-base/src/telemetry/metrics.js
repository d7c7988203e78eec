import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
/** Seconds; Azure's 250 ms and the default deadline of 200 ms are bounds of their own. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1];
/**
 * Counts for Prometheus. No label holds what a caller chose freely: a key's name or a client's would make as many series as
 * there are keys.
 */
export class Metrics {
    #registry = new Registry();
    #requests;
    #calls;
    #rejected;
    #handshakes;
    #shed;
    /** @param observe asked at each scrape */
    constructor(observe) {
        const registers = [this.#registry];
        collectDefaultMetrics({ register: this.#registry });
        this.#requests = new Histogram({
            name: 'ekm_request_duration_seconds',
            help: 'From a complete request header to the reply, by pool, operation, algorithm and HTTP status.',
            labelNames: ['pool', 'operation', 'algorithm', 'status'],
            buckets: BUCKETS,
            registers,
        });
        this.#calls = new Histogram({
            name: 'ekm_backend_duration_seconds',
            help: 'What a backend took, without the wait for its turn; code is OK or why it failed.',
            labelNames: ['backend', 'operation', 'code'],
            buckets: BUCKETS,
            registers,
        });
        this.#rejected = new Counter({
            name: 'ekm_rejected_total',
            help: 'Requests answered with 429 and not sent to a backend: by a backend (queue_full, too_late) or a pool (rate).',
            labelNames: ['by', 'name', 'reason'],
            registers,
        });
        this.#handshakes = new Counter({
            name: 'ekm_tls_handshakes_total',
            help: 'TLS handshakes: full, resumed or failed, and why they failed.',
            labelNames: ['result', 'reason'],
            registers,
        });
        this.#shed = new Counter({
            name: 'ekm_connections_shed_total',
            help: 'Connections that were closed before or during their handshake because there were too many, or too slow.',
            labelNames: ['reason'],
            registers,
        });
        this.#gauge('ekm_backend_up', 'Whether requests reach the backend; 0 while it is down and is probed back.', 'min', {
            labels: ['backend'],
            values: () => observe().backends.map(({ name, up }) => [{ backend: name }, Number(up)]),
        });
        this.#gauge('ekm_backend_running', 'Calls to the backend that are under way.', 'sum', {
            labels: ['backend'],
            values: () => observe().backends.map(({ name, running }) => [{ backend: name }, running]),
        });
        this.#gauge('ekm_backend_queue_length', 'Calls that wait for their turn at the backend.', 'sum', {
            labels: ['backend'],
            values: () => observe().backends.map(({ name, waiting }) => [{ backend: name }, waiting]),
        });
        this.#gauge('ekm_backend_connections', 'Sessions or connections to the backend that are open.', 'sum', {
            labels: ['backend'],
            values: () => observe().backends.map(({ name, connections }) => [{ backend: name }, connections]),
        });
        this.#gauge('ekm_connections', 'Open connections, by whether their client certificate was verified.', 'sum', {
            labels: ['client'],
            values: () => Object.entries(observe().connections).map(([client, count]) => [{ client }, count]),
        });
        this.#gauge('ekm_log_lines_dropped', 'Lines that the log could not take and that it has not yet told of.', 'sum', {
            labels: [],
            values: () => [[{}, observe().logLinesDropped]],
        });
    }
    request({ pool = '', operation = '', algorithm = '', status }, seconds) {
        this.#requests.observe({ pool, operation, algorithm, status }, seconds);
    }
    called(backend, operation, code, elapsedMs) {
        this.#calls.observe({ backend, operation, code }, elapsedMs / 1000);
    }
    rejected(by, name, reason) {
        this.#rejected.inc({ by, name, reason });
    }
    handshake(kind) {
        this.#handshakes.inc({ result: kind, reason: '' });
    }
    /** @param reason OpenSSL's or Node.js's code */
    handshakeFailed(reason) {
        this.#handshakes.inc({ result: 'failed', reason });
    }
    shed(reason) {
        this.#shed.inc({ reason });
    }
    snapshot() {
        return this.#registry.getMetricsAsJSON();
    }
    #gauge(name, help, aggregator, { labels, values }) {
        new Gauge({
            name,
            help,
            aggregator,
            labelNames: labels,
            registers: [this.#registry],
            collect() {
                this.reset();
                for (const [labelled, value] of values())
                    this.set(labelled, value);
            },
        });
    }
}
