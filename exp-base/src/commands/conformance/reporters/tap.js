import { verdictOf } from "./summary.js";
/** TAP 14. What only should be is a TODO there, so that it does not fail the run; what was not run is a SKIP. */
export function tapReport(report) {
    const lines = ['TAP version 14', `1..${report.results.length}`];
    for (const [index, { id, title, outcome, severity, reason = '', last, milliseconds }] of report.results.entries()) {
        const status = outcome === 'failed' ? 'not ok' : 'ok';
        const directive = outcome === 'not run' ? ` # SKIP ${escape(reason)}` : severity === 'should' && outcome === 'failed' ? ' # TODO should' : '';
        lines.push(`${status} ${index + 1} - ${id} ${escape(title)}${directive}`);
        lines.push('  ---', `  severity: ${severity}`, `  duration_ms: ${milliseconds.toFixed(1)}`);
        if (outcome === 'failed' && last) {
            // A JSON string is a YAML string.
            for (const member of ['sent', 'expected', 'came'])
                lines.push(`  ${member}: ${JSON.stringify(last[member])}`);
        }
        lines.push('  ...');
    }
    return [...lines, `# ${verdictOf(report)}`].join('\n') + '\n';
} // prettier-ignore
const escape = (text) => text.replaceAll('\\', '\\\\').replaceAll('#', '\\#');
