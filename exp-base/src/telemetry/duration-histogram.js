/** Seconds; Azure's 250 ms and the default deadline of 200 ms are bounds of their own. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1];
/**
 * How long something took, by labels. It is what prom-client's histogram is at a scrape; but that one makes a text of all
 * labels for each observation, and two observations cost a request more than its key wrap.
 */
export class DurationHistogram {
    #name;
    #help;
    #labels;
    #tree = new Map();
    constructor(name, help, labels) {
        this.#name = name;
        this.#help = help;
        this.#labels = labels;
    }
    /** @param values one for each label, in their order */
    observe(seconds, ...values) {
        let node = this.#tree;
        for (const value of values)
            node = node instanceof Map ? node.get(value) : undefined;
        const series = node === undefined || node instanceof Map ? this.#plant(values) : node;
        let bucket = 0;
        while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? Infinity))
            bucket += 1;
        series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
        series.sum += seconds;
    }
    /** In the form of prom-client's `Registry.getMetricsAsJSON()`. */
    toJSON() {
        const values = [...this.#series(this.#tree, [])].flatMap(([path, { counts, sum }]) => {
            const labels = Object.fromEntries(this.#labels.map((label, index) => [label, path[index]]));
            let below = 0;
            const buckets = counts.map((count, index) => ({
                labels: { le: BOUNDS[index] ?? '+Inf', ...labels },
                value: (below += count),
                metricName: `${this.#name}_bucket`,
            }));
            return [
                ...buckets,
                { labels, value: sum, metricName: `${this.#name}_sum` },
                { labels, value: below, metricName: `${this.#name}_count` },
            ];
        });
        return { name: this.#name, help: this.#help, type: 'histogram', values, aggregator: 'sum' };
    }
    #plant(values) {
        let tree = this.#tree;
        for (const value of values.slice(0, -1)) {
            const next = tree.get(value);
            const branch = next instanceof Map ? next : new Map();
            tree.set(value, branch);
            tree = branch;
        }
        const series = { counts: [...BOUNDS, Infinity].map(() => 0), sum: 0 };
        tree.set(values.at(-1) ?? '', series);
        return series;
    }
    *#series(node, path) {
        if (!(node instanceof Map))
            yield [path, node];
        else
            for (const [value, child] of node)
                yield* this.#series(child, [...path, value]);
    }
}
