import { describe, expect, it } from 'vitest';
import { passes } from "./figure.js";
import { chartOf } from "./report/chart.js";
import { formatMeasured, formatTarget, mergeRuns } from "./report/results.js";
import { tableOf } from "./report/table.js";
import { median, paired, quantile, ratio, spreadOf } from "./statistics.js";
const plain = (text) => text;
const style = { good: plain, bad: plain, warn: plain, dim: plain, bold: plain };
const run = (serverNode, names, seconds = 3) => ({
    machine: {
        cpu: 'a processor',
        cores: 2,
        virtual: true,
        memoryGiB: 4,
        kernel: '6',
        system: 'a system',
        serverNode,
        serverOpenssl: '3',
        generatorNode: '20.0.0',
        placement: 'apart',
    },
    plan: { repetitions: 3, seconds, warmUpSeconds: 1, serialRequests: 1, handshakes: 1, rateSeconds: 1, soakMinutes: 1 },
    figures: names.map((name) => ({ name, title: name, measuredAt: `${seconds}`, loadBefore: 0 })),
});
const check = (changes) => ({
    what: 'throughput',
    relation: 'at least',
    target: 0.8,
    unit: '×',
    measured: { median: 0.9, low: 0.85, high: 0.95 },
    ...changes,
});
const withChecks = (...checks) => {
    const base = run('20.0.0', ['wrap']);
    return { ...base, figures: base.figures.map((figure) => ({ ...figure, outcome: { checks, series: [], notes: [] } })) };
};
describe('statistics of the benchmark', () => {
    it('take the nearest rank, whatever the order', () => {
        const values = [5, 1, 4, 2, 3];
        expect(median(values)).toBe(3);
        expect(quantile(values, 0.99)).toBe(5);
        expect(quantile([], 0.5)).toBeNaN();
        expect(spreadOf(values)).toEqual({ median: 3, low: 1, high: 5 });
    });
    it('compare what was measured right after one another', () => {
        expect(paired([10, 40], [20, 40], ratio)).toEqual([0.5, 1]);
    });
});
describe('a check', () => {
    it.each([
        [{}, true, '≥ 0.8 ×', '0.90 × (0.85 to 0.95)'],
        [{ relation: 'at most' }, false, '≤ 0.8 ×', '0.90 × (0.85 to 0.95)'],
        [{ relation: 'at most', unit: 'of', target: 0, measured: spreadOf([0]) }, true, 'none', '0'],
        [{ relation: 'at most', unit: 'of', target: 0, measured: spreadOf([2]) }, false, 'none', '2'],
        [{ measured: { median: NaN, low: NaN, high: NaN } }, false, '≥ 0.8 ×', 'NaN × (NaN to NaN)'],
    ])('%j passes: %s', (changes, passed, target, measured) => {
        expect(passes(check(changes))).toBe(passed);
        expect(formatTarget(check(changes))).toBe(target);
        expect(formatMeasured(check(changes))).toBe(measured);
    });
});
describe('earlier results', () => {
    const names = (runs) => runs.map(({ figures }) => figures.map(({ name }) => name).join());
    const order = ['wrap', 'rate', 'soak'];
    it('stay where they were not measured again', () => {
        const merged = mergeRuns([run('20.1.0', ['wrap', 'soak'])], run('20.1.0', ['rate']), order);
        expect(names(merged)).toEqual(['wrap,rate,soak']);
    });
    it.each([
        ['another machine', run('20.2.0', ['rate'])],
        ['another plan', run('20.1.0', ['rate'], 9)],
    ])('of %s go', (_, latest) => {
        expect(names(mergeRuns([run('20.1.0', ['wrap', 'soak'])], latest, order))).toEqual(['rate']);
    });
    it('of another major version of Node.js stand beside', () => {
        expect(names(mergeRuns([run('24.0.0', ['wrap'])], run('20.1.0', ['rate']), order))).toEqual(['rate', 'wrap']);
    });
});
describe('a report', () => {
    it('tells kept from missed, not available and failed', () => {
        const base = withChecks(check({}), check({ what: 'latency', target: 0.99 }));
        const text = tableOf({
            ...base,
            figures: [
                ...base.figures,
                { name: 'workers', title: '', measuredAt: '', loadBefore: 0, notAvailable: 'no such setting' },
                { name: 'rsa', title: '', measuredAt: '', loadBefore: 0, failed: 'it broke' },
            ],
        }, style); // prettier-ignore
        expect(text).toMatch(/✓ throughput .*0\.90 ×.*≥ 0\.8 ×/);
        expect(text).toMatch(/✗ latency .*≥ 0\.99 ×/);
        expect(text).toContain('- not available: no such setting');
        expect(text).toContain('✗ could not be measured: it broke');
    });
    it('has a chart with a bar for each check that has a target to compare with, red if it is missed', () => {
        const svg = chartOf([
            withChecks(check({}), check({ what: '<missed>', target: 0.99 }), check({ what: 'failures', relation: 'at most', unit: 'of', target: 0, measured: spreadOf([0]) })),
        ]);
        expect(svg).toContain('wrap: throughput');
        expect(svg).toContain('wrap: &lt;missed&gt;');
        expect(svg).not.toContain('failures');
        expect(svg.match(/fill="#dc2626"/g)).toHaveLength(1);
    });
});
