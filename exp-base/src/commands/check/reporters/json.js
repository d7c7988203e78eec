import { version } from "../../../version.js";
import { checks } from "../catalogue.js";
/** For programs. Members may be added, and none is taken away or changes its meaning within this format's version. */
export function jsonReport({ config, startedAt, seconds, counts, findings }) {
    const all = {
        format: 1,
        version,
        config,
        startedAt: startedAt.toISOString(),
        seconds,
        passed: counts.problem === 0,
        counts: { ok: counts.ok, warning: counts.warning, problem: counts.problem, notChecked: counts['not checked'] },
        findings: findings.map(({ id, ...finding }) => ({ id, checked: checks[id], ...finding })),
    };
    return JSON.stringify(all, undefined, 2) + '\n';
}
