import { spawn } from 'node:child_process';
import { Secret, systemCode } from "../../adapters/contract/index.js";
import { existsSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { issue, makePki } from "../support/pki.js";
import { makeWorkspace } from "../support/workspace.js";
const PROGRAM = '/usr/bin/pykmip-server';
const START_TIMEOUT_MS = 60_000;
/** A real PyKMIP server, in its own process on loopback, with an empty database. */
export async function startPyKmip() {
    if (!existsSync(PROGRAM)) {
        throw new Error(`PyKMIP is missing: apt-get update && apt-get install -y python3-pykmip (${PROGRAM})`);
    }
    const pki = await makePki();
    // PyKMIP takes the client's common name as its identity.
    const client = await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.clientCa);
    const workspace = await makeWorkspace();
    const port = await freePort();
    const configuration = await workspace.write('server.conf', [
        '[server]',
        'hostname=127.0.0.1',
        `port=${port}`,
        `certificate_path=${await workspace.write('server.pem', pki.server.certificate)}`,
        `key_path=${await workspace.write('server.key', pki.server.key)}`,
        `ca_path=${await workspace.write('ca.pem', pki.clientCa.certificate)}`,
        'auth_suite=TLS1.2',
        'logging_level=WARNING',
        `database_path=${workspace.path('kmip.db')}`,
        `policy_path=${workspace.directory}`,
        '',
    ].join('\n'));
    const log = workspace.path('server.log');
    let child;
    const start = async () => {
        // In a group of its own: PyKMIP forks, and its processes do not end each other.
        child = spawn(PROGRAM, ['-f', configuration, '-l', log], { stdio: 'ignore', detached: true });
        process.once('exit', killGroup);
        const began = performance.now();
        while (!(await accepts(port))) {
            if (child.exitCode !== null || performance.now() - began > START_TIMEOUT_MS) {
                throw new Error(`PyKMIP did not start: ${await readFile(log, 'utf8').catch(() => 'no log')}`);
            }
            await sleep(100);
        }
    };
    const killGroup = () => {
        try {
            if (child?.pid !== undefined)
                process.kill(-child.pid, 'SIGKILL');
        }
        catch (error) {
            if (systemCode(error) !== 'ESRCH')
                throw error;
        }
    };
    const kill = async () => {
        if (child === undefined)
            return;
        const running = child.exitCode === null && child.signalCode === null;
        const ended = running ? new Promise((resolve) => child?.once('exit', resolve)) : undefined;
        killGroup();
        await ended;
        process.removeListener('exit', killGroup);
        child = undefined;
    };
    await start();
    return {
        pki,
        port,
        options: {
            servers: [{ host: '127.0.0.1', port }],
            tls: {
                ca: Buffer.from(pki.serverCa.certificate),
                certificate: Buffer.from(client.certificate),
                key: new Secret(Buffer.from(client.key)),
            },
        },
        kill,
        restart: async () => {
            await kill();
            await start();
        },
        stop: async () => {
            await kill();
            await workspace.remove();
        },
    };
}
/** A TCP port that was free a moment ago. */
export function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}
const accepts = (port) => new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const settle = (result) => {
        socket.destroy();
        resolve(result);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
});
