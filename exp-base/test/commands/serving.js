import { connect, createServer } from 'node:net';
import { writeGatewayFiles } from "../support/gateway.js";
import { API, CONTEXT, openSocket } from "../support/https.js";
import { Cli, until } from "./cli.js";
export const BASE = '/azureekm/contoso';
export const listeningPort = async (cli) => Number(await cli.says(/"event":"listening".*"port":(\d+)/));
export async function startServing(pki, keys, settings = {}, options = {}) {
    const { workspace, file } = await writeGatewayFiles(pki, keys, { log: { destination: 'stdout' }, ...settings });
    const cli = new Cli(options.program === undefined ? ['serve', '--config', file] : [file], options);
    const logged = (event) => cli.stdout
        .split('\n')
        .filter((line) => line.endsWith('}'))
        .map((line) => JSON.parse(line))
        .filter((line) => line['event'] === event);
    const port = await listeningPort(cli).catch((error) => {
        cli.kill();
        throw error;
    });
    return {
        cli,
        port,
        file,
        workspace,
        logged,
        logs: async (event) => {
            await cli.says(new RegExp(`"event":"${event}".*\n`));
            return logged(event)[0] ?? {};
        },
        logsTimes: (event, count) => until(`${count} times ${event}`, () => {
            const found = logged(event);
            return found.length >= count && found;
        }),
        remove: async () => {
            cli.kill();
            await cli.ended;
            await workspace.remove();
        },
    };
}
/** A request whose head has been read, and whose body has not been sent. */
export async function openRequest(port, pki) {
    const body = JSON.stringify({ request_context: CONTEXT });
    const socket = await openSocket(port, pki);
    const received = collect(socket);
    const head = [
        `POST ${BASE}/info?${API} HTTP/1.1`,
        'Host: localhost',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Expect: 100-continue',
    ];
    socket.write(head.join('\r\n') + '\r\n\r\n');
    await received.until('HTTP/1.1 100 Continue');
    return { finish: () => socket.write(body), closed: received.closed, destroy: () => socket.destroy() };
}
function collect(socket) {
    let text = '';
    const waiting = [];
    socket.on('data', (chunk) => {
        text += chunk.toString('latin1');
        for (const check of waiting)
            check();
    });
    socket.on('error', () => undefined);
    return {
        until: (wanted) => new Promise((resolve, reject) => {
            waiting.push(() => {
                if (text.includes(wanted))
                    resolve();
            });
            socket.once('close', () => reject(new Error(`closed without ${wanted}: ${text}`)));
        }),
        /** Everything that came, once the connection is closed. */
        closed: new Promise((resolve) => socket.once('close', () => resolve(text))),
    };
}
/** Occupies a port until it is released. */
export async function takePort() {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return {
        port: typeof address === 'object' && address !== null ? address.port : 0,
        release: () => new Promise((resolve) => server.close(() => resolve())),
    };
}
export const accepts = (port) => new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
});
