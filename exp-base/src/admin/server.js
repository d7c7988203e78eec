import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { listen } from "../listen.js";
const PATIENCE_MS = 5000;
const MAX_CONNECTIONS = 100;
/**
 * Serves `/healthz`, `/readyz`, `/status` and `/metrics`, unencrypted and to everybody who reaches the port: none of it is
 * a secret, and all of it is the operator's business. Rejects with an OperatorError if it cannot listen.
 */
export async function serveAdmin(host, port, source) {
    const answer = getRequestListener(adminApp(source).fetch);
    const server = createServer({ headersTimeout: PATIENCE_MS, requestTimeout: PATIENCE_MS }, (incoming, outgoing) => {
        void answer(incoming, outgoing);
    });
    server.maxConnections = MAX_CONNECTIONS;
    const actualPort = await listen(server, host, port);
    return {
        port: actualPort,
        close: async () => {
            server.closeAllConnections();
            await new Promise((resolve) => server.close(resolve));
        },
    };
}
function adminApp(source) {
    const app = new Hono();
    app.get('/healthz', (c) => c.text('alive\n'));
    app.get('/readyz', async (c) => {
        const { ready, draining, backends } = await source.status();
        return c.json({ ready, draining, backends: backends.map(({ name, ready }) => ({ name, ready })) }, ready ? 200 : 503);
    });
    app.get('/status', async (c) => c.json(await source.status()));
    app.get('/metrics', async (c) => {
        c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
        return c.body(await source.metrics());
    });
    app.notFound((c) => c.text('there is /healthz, /readyz, /status and /metrics\n', 404));
    app.onError((_error, c) => c.text('the gateway did not say\n', 500));
    return app;
}
