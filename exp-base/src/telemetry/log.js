import { pino } from 'pino';
import { OperatorError, systemCode } from "../../adapters/contract/index.js";
import { LogSink } from "./sink.js";
export const logLevels = ['error', 'warn', 'info', 'debug'];
const CLOSE_PATIENCE_MS = 1000;
/** Rejects with an {@link OperatorError} if the destination cannot be written to. */
export async function openLog({ level, destination }) {
    const sink = await LogSink.open(destination, (lines) => {
        const time = new Date().toISOString();
        return JSON.stringify({ level: 'error', time, event: 'log_lines_dropped', lines }) + '\n';
    }).catch((error) => {
        throw new OperatorError('LOG_UNWRITABLE', `the log cannot be written to ${destination} (${systemCode(error)})`);
    });
    const logger = pino({
        level,
        base: null,
        timestamp: () => `,"time":"${isoTime()}"`,
        formatters: { level: (label) => ({ level: label }) },
    }, sink);
    // A child of its own, so that no configured level can silence the audit trail.
    const unsilenced = logger.child({}, { level: 'info' });
    return {
        error: (event, fields) => logger.error({ event, ...fields }),
        warn: (event, fields) => logger.warn({ event, ...fields }),
        info: (event, fields) => logger.info({ event, ...fields }),
        debug: (event, fields) => logger.debug({ event, ...fields }),
        always: (event, fields) => unsilenced.info({ event, ...fields }),
        get dropped() {
            return sink.dropped;
        },
        relay: (text, lines) => sink.write(text, lines),
        close: () => sink.close(CLOSE_PATIENCE_MS),
    };
}
let lastMs = 0;
let lastTime = '';
/** Now, as ISO 8601 has it: many lines are written in the same millisecond. */
function isoTime() {
    const now = Date.now();
    if (now !== lastMs) {
        lastMs = now;
        lastTime = new Date(now).toISOString();
    }
    return lastTime;
}
/** The log as an adapter sees it. */
export const reportTo = (log, backend) => (level, event, fields) => log[level](event, { backend, ...fields });
/**
 * What may be told of an error that nobody expected. Its message is left out, and with it the first lines of the stack: it
 * can quote the value that the code tripped over, as `JSON.parse` does.
 */
export function describeBug(error) {
    if (!(error instanceof Error))
        return { error: typeof error };
    const { message, stack = '' } = error;
    const start = stack.indexOf(message);
    const frames = start === -1 ? [] : stack.slice(start + message.length).split('\n');
    return {
        error: error.name,
        error_code: 'code' in error && typeof error.code === 'string' ? error.code : undefined,
        stack: frames
            .filter((line) => /^\s+at /.test(line))
            .map((line) => line.trim())
            .join(' | '),
    };
}
