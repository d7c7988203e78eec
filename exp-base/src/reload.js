import { OperatorError } from "../adapters/contract/index.js";
import { FileRecorder } from "./config/files.js";
import { loadConfig } from "./config/load.js";
import { FileWatch } from "./config/watch.js";
import { describeBug } from "./telemetry/log.js";
/** Throws what {@link loadConfig} throws. */
export function readConfig(file, environment) {
    const recorder = new FileRecorder();
    return { config: loadConfig(file, environment, recorder.read), recorder };
}
/**
 * Reads the configuration again when it is told to, or when a file has changed, and has it applied: all or nothing. What
 * came of it is in the log. One at a time; what is asked for meanwhile is done after it.
 */
export class Reloader {
    #options;
    #watch;
    #config;
    #wanted;
    #running;
    #closed = false;
    constructor(options, { config, recorder }) {
        this.#options = options;
        this.#config = config;
        this.#watch = new FileWatch(recorder, () => {
            if (this.#config.reload.watch)
                void this.reload('file');
        });
    }
    /** Resolves when it is done, whatever came of it. */
    reload(cause) {
        this.#wanted = cause;
        this.#running ??= this.#run().finally(() => (this.#running = undefined));
        return this.#running;
    }
    /** Starts nothing more. */
    close() {
        this.#closed = true;
        this.#watch.close();
    }
    async #run() {
        while (this.#wanted !== undefined && !this.#closed) {
            const cause = this.#wanted;
            this.#wanted = undefined;
            await this.#once(cause);
        }
    }
    async #once(cause) {
        const { file, environment, log, apply } = this.#options;
        const recorder = new FileRecorder();
        try {
            const config = loadConfig(file, environment, recorder.read);
            const changed = await apply(config, recorder.contents);
            this.#config = config;
            log.info('reloaded', { cause, changed: changed.join(', ') });
        }
        catch (error) {
            const problem = error instanceof OperatorError ? { reason: error.code, message: error.message } : describeBug(error);
            log.error('reload_failed', { cause, ...problem });
        }
        finally {
            // Also of a configuration that was wrong: what mends it is a change of its files.
            this.#watch.follow(recorder);
        }
    }
}
