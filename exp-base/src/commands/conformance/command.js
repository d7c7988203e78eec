import { CouldNotRun } from "./case.js";
import { conformanceDocument } from "./document.js";
import { listAsJson, listAsText } from "./listing.js";
import { ProgressLine } from "./progress.js";
import { reporters } from "./reporters/index.js";
import { runConformance } from "./runner.js";
import { styleFor } from "../style.js";
import { readTarget } from "./target.js";
/** Exit statuses of the command. */
const CONFORMANT = 0;
const NOT_CONFORMANT = 1;
const COULD_NOT_RUN = 2;
/** Runs the command; resolves with its exit status. */
export async function conformance(given) {
    try {
        return await run(given);
    }
    catch (error) {
        if (!(error instanceof CouldNotRun))
            throw error;
        process.stderr.write(`ekm-gateway conformance: ${error.message}\n`);
        return COULD_NOT_RUN;
    }
}
async function run(options) {
    const { format, only, timeout, concurrency, load, duration: seconds, connections } = options;
    const style = styleFor(process.stdout, process.env);
    if (options.list) {
        await write(list(format, style));
        return CONFORMANT;
    }
    if (format === 'markdown')
        throw new CouldNotRun('--format markdown is for --list');
    for (const name of ['url', 'ca', 'cert', 'key']) {
        if (options[name] === undefined)
            throw new CouldNotRun(`--${name} is required`);
    }
    const progress = new ProgressLine(process.stderr);
    const report = await runConformance({
        target: await readTarget(options),
        only,
        concurrency,
        timeoutMs: timeout * 1000,
        ...(load !== undefined && { load: { rate: load, seconds, connections } }),
        onResult: (result, done, total) => progress.result(result, done, total),
        onProgress: (text) => progress.show(text),
    });
    progress.clear();
    await write(reporters[format](report, style));
    return report.conformant ? CONFORMANT : NOT_CONFORMANT;
}
function list(format, style) {
    switch (format) {
        case 'text':
            return listAsText(style);
        case 'json':
            return listAsJson();
        case 'markdown':
            return conformanceDocument();
        case 'tap':
        case 'junit':
        case 'html':
            throw new CouldNotRun('--list has the formats text, json and markdown');
    }
}
/** A pipe takes a long text in pieces: it is out when this resolves. */
const write = (text) => new Promise((resolve) => process.stdout.write(text, () => resolve()));
