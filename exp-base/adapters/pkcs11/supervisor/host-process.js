import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameReader } from "../frames.js";
// A module's text cannot be rewritten by the compiler, so the name of the program follows that of this file.
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const program = fileURLToPath(new URL(`../host/main.${extension}`, import.meta.url));
const CHANNEL = 3;
/** A child process that runs `host/main.ts`, and the socket pair to it. */
export class HostProcess {
    #child;
    #socket;
    #listener;
    #nextId = 0;
    /** `environment` is all that the process sees of the gateway's; the vendor's library may need any of it. */
    constructor(environment, listener) {
        this.#listener = listener;
        this.#child = spawn(process.execPath, [program], {
            stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
            env: environment,
        });
        this.#socket = this.#child.stdio[CHANNEL];
        const reader = new FrameReader();
        this.#socket.on('data', (chunk) => {
            try {
                reader.push(chunk, ({ id, kind, payload }) => this.#listener?.replied(id, kind, Uint8Array.from(payload)));
            }
            catch {
                this.#child.kill('SIGKILL');
            }
            chunk.fill(0);
        });
        // Whatever is wrong with the channel, how the process ended says more.
        this.#socket.on('error', () => this.#child.kill('SIGKILL'));
        this.#socket.on('end', () => this.#child.kill('SIGKILL'));
        this.#child.on('error', (error) => this.#end(`it could not be started: ${error.message}`));
        this.#child.on('exit', (code, signal) => this.#end(signal === null ? `it exited (${code})` : `it died of ${signal}`));
    }
    get pid() {
        return this.#child.pid ?? 0;
    }
    /** Sends a copy of `payload` and gives the id that the answer will bear. */
    send(kind, payload) {
        this.#nextId = (this.#nextId + 1) >>> 0;
        const frame = encodeFrame(this.#nextId, kind, payload);
        // Calls of the same moment go in one write.
        if (this.#socket.writableCorked === 0) {
            this.#socket.cork();
            process.nextTick(() => this.#socket.uncork());
        }
        this.#socket.write(frame, () => frame.fill(0));
        return this.#nextId;
    }
    /** Ends the process at once, whatever it is doing; the listener hears no more of it. */
    kill() {
        this.#listener = undefined;
        const { exitCode, signalCode, pid } = this.#child;
        this.#socket.destroy();
        if (exitCode !== null || signalCode !== null || pid === undefined)
            return Promise.resolve();
        return new Promise((resolve) => {
            this.#child.once('exit', () => resolve());
            this.#child.kill('SIGKILL');
        });
    }
    #end(why) {
        const listener = this.#listener;
        this.#listener = undefined;
        this.#child.kill('SIGKILL');
        this.#socket.destroy();
        listener?.ended(why);
    }
}
/** The gateway's environment without any variable that holds the PIN. */
export function hostEnvironment(pin) {
    const text = pin && Buffer.from(pin).toString('utf8');
    return Object.fromEntries(Object.entries(process.env).filter(([, value]) => text === undefined || value !== text));
}
