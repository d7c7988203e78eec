import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
const CLI = fileURLToPath(new URL('../../dist/src/cli.js', import.meta.url));
if (!existsSync(CLI))
    throw new Error(`${CLI} is missing: run npm run build first, as npm test does`);
/** `ekm-gateway` as a process of its own. */
export class Cli {
    process;
    ended;
    #started = performance.now();
    #stdout = '';
    #stderr = '';
    constructor(args, { cwd, environment = {}, stdio = 'pipe', input, unread = false, program = CLI, detached = false, } = {}) {
        const env = { PATH: process.env['PATH'] ?? '', ...environment };
        this.process = spawn(process.execPath, [program, ...args], { cwd, env, stdio, detached });
        if (!unread)
            this.process.stdout?.on('data', (chunk) => (this.#stdout += chunk.toString()));
        this.process.stderr?.on('data', (chunk) => (this.#stderr += chunk.toString()));
        this.process.stdin?.on('error', () => undefined);
        this.process.stdin?.end(input);
        this.ended = new Promise((resolve) => {
            this.process.once(unread ? 'exit' : 'close', (code, signal) => resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr }));
        });
    }
    get stdout() {
        return this.#stdout;
    }
    get stderr() {
        return this.#stderr;
    }
    get running() {
        return this.process.exitCode === null && this.process.signalCode === null;
    }
    /** Milliseconds since it was started. */
    get age() {
        return performance.now() - this.#started;
    }
    /** What the first group of `pattern` matches, once it is on standard output; rejects if the process ends without it. */
    async says(pattern, patienceMs) {
        const ask = () => {
            const [all, group = all] = pattern.exec(this.#stdout) ?? [];
            if (group === undefined && !this.running)
                throw new Error(`ended without it: ${this.#stdout}${this.#stderr}`);
            return group;
        };
        return until(`${pattern.source} on standard output`, ask, patienceMs);
    }
    kill(signal = 'SIGKILL') {
        this.process.kill(signal);
    }
}
export const run = (args, options) => new Cli(args, options).ended;
/** Asks again and again, until there is something other than `undefined` or `false`. */
export async function until(what, ask, patienceMs = 10_000) {
    const deadline = performance.now() + patienceMs;
    for (;;) {
        const answer = await ask();
        if (answer !== undefined && answer !== false)
            return answer;
        if (performance.now() > deadline)
            throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}
/** A refusal as an operator wants to see it: one line that says it, no stack trace, a status other than 0. */
export function expectRefusal(ended, says, code = 1) {
    expect({ ...ended, stderr: ended.stderr.trim() }).toEqual({
        code,
        signal: null,
        stdout: '',
        stderr: expect.stringMatching(says),
    });
    expect(ended.stderr.trim().split('\n')).toHaveLength(1);
    expect(ended.stderr).not.toMatch(/^\s+at |\.js:\d+|node:/m);
}
