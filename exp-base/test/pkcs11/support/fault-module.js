import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MODULE } from "./softhsm.js";
const source = fileURLToPath(new URL('fault-module.c', import.meta.url));
/** Compiles the fault-injecting module for this run; the adapter's hosts find their instructions in the environment. */
export function faultModule(hsm) {
    const path = join(hsm.directory, 'fault-module.so');
    try {
        execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', path, source], { stdio: 'pipe' });
    }
    catch (error) {
        throw new Error('the fault-injecting module cannot be compiled: run apt-get install -y gcc libc6-dev', {
            cause: error,
        });
    }
    const scriptPath = join(hsm.directory, 'faults');
    const logPath = join(hsm.directory, 'logins');
    Object.assign(process.env, { FAULT_TARGET: MODULE, FAULT_SCRIPT: scriptPath, FAULT_LOG: logPath });
    let scripts = 0;
    const script = (...lines) => {
        scripts++;
        // A number that is new each time makes a "once" line another line.
        const numbered = lines.map((line) => (line.endsWith(' once') ? `${line} #${scripts}` : line));
        writeFileSync(scriptPath, numbered.map((line) => `${line}\n`).join(''));
    };
    script();
    writeFileSync(logPath, '');
    return {
        path,
        script,
        logins: () => {
            const count = readFileSync(logPath, 'utf8').split('\n').length - 1;
            writeFileSync(logPath, '');
            return count;
        },
    };
}
