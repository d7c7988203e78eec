import { AggregatorRegistry, Gauge, Registry } from 'prom-client';
/** What there is once for the whole gateway, however many processes serve, and one page of it and of all of theirs. */
export class ServiceMetrics {
    #registry = new Registry();
    /** @param certificates asked at each scrape */
    constructor(version, certificates) {
        const registers = [this.#registry];
        new Gauge({
            name: 'ekm_build_info',
            help: 'The version that runs; always 1.',
            labelNames: ['version', 'node'],
            registers,
        }).set({ version, node: process.version }, 1);
        new Gauge({
            name: 'ekm_certificate_days_left',
            help: 'Days until a certificate expires; negative afterwards.',
            labelNames: ['role', 'subject'],
            registers,
            collect() {
                this.reset();
                for (const { role, subject, days } of certificates())
                    this.set({ role, subject }, days);
            },
        });
    }
    /**
     * Prometheus' text format.
     *
     * @param processes one for each process that serves
     */
    async text(processes) {
        return AggregatorRegistry.aggregate([...processes, await this.#registry.getMetricsAsJSON()]).metrics();
    }
}
