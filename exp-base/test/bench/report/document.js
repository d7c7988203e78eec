import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { passes } from "../figure.js";
import { chartOf } from "./chart.js";
import { describeMachine, formatMeasured, formatTarget, mergeRuns } from "./results.js";
const docs = (name) => new URL(`../../../../docs/${name}`, import.meta.url);
const JSON_FILE = docs('performance.json');
const CHART_FILE = docs('performance.svg');
const PAGE_FILE = docs('performance.md');
const BEGIN = '<!-- npm run bench -- --write-docs: begin -->';
const END = '<!-- npm run bench -- --write-docs: end -->';
/** Brings table and chart of docs/performance.md up to date; see {@link mergeRuns} for what stays. */
export async function writeDocs(latest, order) {
    const before = JSON.parse(await readFile(JSON_FILE, 'utf8').catch(() => '[]'));
    const runs = mergeRuns(before, latest, order);
    const page = await readFile(PAGE_FILE, 'utf8');
    const [head, rest] = page.split(BEGIN);
    const tail = rest?.split(END)[1];
    if (head === undefined || tail === undefined)
        throw new Error(`docs/performance.md has no ${BEGIN} … ${END}`);
    await write(JSON_FILE, JSON.stringify(runs));
    await writeFile(CHART_FILE, chartOf(runs));
    await write(PAGE_FILE, `${head}${BEGIN}\n\n${sectionOf(runs)}\n\n${END}${tail}`);
}
async function write(file, text) {
    const config = await resolveConfig(file);
    await writeFile(file, await format(text, { ...config, filepath: file.pathname }));
}
function sectionOf(runs) {
    const names = [...new Set(runs.flatMap(({ figures }) => figures.map(({ name }) => name)))];
    const columns = runs.map(({ machine }) => `Node.js ${machine.serverNode}`);
    const lines = [
        ...runs.map((run) => `Measured on ${describeMachine(run)}; ${datesOf(run)}.\n`),
        '![How much of each target was used](performance.svg)\n',
        `| figure | what | target | ${columns.join(' | ')} |`,
        `| --- | --- | --- | ${columns.map(() => '---').join(' | ')} |`,
    ];
    for (const name of names)
        lines.push(...rowsOf(name, runs));
    lines.push('\nMedians of the repetitions, in brackets the least and the greatest. What was measured behind them:\n');
    for (const name of names)
        lines.push(...detailsOf(name, runs));
    return lines.join('\n');
}
function datesOf({ figures, plan }) {
    const dates = [...new Set(figures.map(({ measuredAt }) => measuredAt.slice(0, 10)))].sort();
    const loads = figures.map(({ loadBefore }) => loadBefore);
    return (`${dates.join(' and ')}, ${plan.repetitions} repetitions, ` +
        `load average before each figure ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`);
}
function rowsOf(name, runs) {
    const results = runs.map(({ figures }) => figures.find((figure) => figure.name === name));
    const checks = results.find((result) => result?.outcome)?.outcome?.checks;
    if (checks === undefined) {
        return [
            `| \`${name}\` | ${results[0]?.title ?? ''} | | ${results.map((result) => otherwise(result)).join(' | ')} |`,
        ];
    }
    return checks.map(({ what }, index) => {
        const cells = results.map((result) => {
            const check = result?.outcome?.checks.find((one) => one.what === what);
            return check === undefined ? otherwise(result) : cellOf(check);
        });
        const target = checks[index] && formatTarget(checks[index]);
        return `| ${index === 0 ? `\`${name}\`` : ''} | ${what} | ${target} | ${cells.join(' | ')} |`;
    });
}
const cellOf = (check) => (passes(check) ? formatMeasured(check) : `**misses it:** ${formatMeasured(check)}`);
const otherwise = (result) => result?.notAvailable !== undefined ? 'not available' : result?.failed !== undefined ? 'could not be measured' : '';
function detailsOf(name, runs) {
    const lines = [];
    for (const { machine, figures } of runs) {
        const result = figures.find((figure) => figure.name === name);
        if (result?.outcome === undefined)
            continue;
        if (lines.length === 0)
            lines.push(`- \`${name}\`: ${result.title}`);
        const series = result.outcome.series.map(({ what, unit, values }) => `${what} ${middleOf(values)} ${unit}`);
        lines.push(`  - Node.js ${machine.serverNode}: ${[`${series.join('; ')}.`, ...result.outcome.notes].join(' ')}`);
    }
    return lines;
}
/** A few values as they are, of many the median. */
function middleOf(values) {
    const sorted = [...values].sort((a, b) => a - b);
    return String(Number((sorted[(sorted.length - 1) >> 1] ?? NaN).toPrecision(3)));
}
