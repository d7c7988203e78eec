const majorOf = ({ machine }) => machine.serverNode.split('.')[0] ?? '';
/**
 * Puts `latest` into what was measured before: in place of the run with the same major version of Node.js, of which the
 * figures stay that were not measured again, if machine and plan are the same.
 *
 * @param order names of the figures
 */
export function mergeRuns(before, latest, order) {
    const old = before.find((run) => majorOf(run) === majorOf(latest));
    const comparable = old && isSame(old.machine, latest.machine) && isSame(old.plan, latest.plan);
    const again = new Set(latest.figures.map(({ name }) => name));
    const kept = comparable ? old.figures.filter(({ name }) => !again.has(name)) : [];
    const figures = [...kept, ...latest.figures].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
    return [...before.filter((run) => run !== old), { ...latest, figures }].sort((a, b) => Number(majorOf(a)) - Number(majorOf(b)));
}
const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const digits = { '×': 2, ms: 2, '%': 1, of: 0 };
export function formatNumber(value, unit) {
    const number = value.toFixed(digits[unit]);
    return unit === 'of' ? number : `${number} ${unit}`;
}
export const formatTarget = ({ relation, target, unit }) => unit === 'of' && target === 0 ? 'none' : `${relation === 'at least' ? '≥' : '≤'} ${target} ${unit}`;
/** The median, with the least and the greatest where they differ. */
export function formatMeasured({ measured: { median, low, high }, unit }) {
    const value = formatNumber(median, unit);
    return low === high ? value : `${value} (${low.toFixed(digits[unit])} to ${high.toFixed(digits[unit])})`;
}
export function describeMachine({ machine }) {
    const { cpu, cores, virtual, memoryGiB, kernel, system, placement } = machine;
    const kind = virtual ? 'a virtual machine with' : '';
    const { serverNode, serverOpenssl, generatorNode } = machine;
    const generator = generatorNode === serverNode ? '' : `, load generator on Node.js ${generatorNode}`;
    return (`${kind} ${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}, Linux ${kernel}; ` +
        `Node.js ${serverNode}, OpenSSL ${serverOpenssl}${generator}; ${placement}`).trim();
}
