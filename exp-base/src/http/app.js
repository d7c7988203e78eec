import { Hono } from 'hono';
import { isKeyName } from "../../adapters/contract/index.js";
import { RequestInvalid } from "../ekm/request-invalid.js";
import { cut } from "../telemetry/audit.js";
import { apiVersion } from "../version.js";
import { Exchange } from "./exchange.js";
import { refuse } from "./proxy-error.js";
import { readJsonObject } from "./request-body.js";
import { RouteTable } from "./route-table.js";
import { parseBody } from "./wire.js";
/** The EKM Proxy API over every pool. Whatever comes in, the reply is JSON, and a failure is a ProxyError. */
export function createApp(options) {
    const { clientOf, deadlineMs, telemetry } = options;
    const table = new RouteTable(options.pools);
    // Hono's routers decode paths and take * for a wildcard; here a path has one spelling.
    const app = new Hono({ getPath: () => '/' });
    app.all('/', async ({ env, req }) => {
        const { incoming, outgoing } = env;
        const exchange = new Exchange(incoming, outgoing, clientOf(incoming.socket), deadlineMs, telemetry);
        try {
            assertAdmitted(exchange, options);
            const destination = find(req.url, exchange, table, options);
            if (incoming.method !== 'POST')
                throw refuse('METHOD_NOT_ALLOWED');
            assertKeyName(destination, exchange);
            if (!hasPlainApiVersion(req.url))
                assertApiVersion(req.queries('api-version') ?? []);
            const json = await readJsonObject(incoming, outgoing, options.maxBodyBytes, exchange.call);
            exchange.noteContext(json);
            const { pool, route, keyName } = destination;
            return exchange.succeed(JSON.stringify(await route.answer(pool, keyName, parseBody(route.body, json), exchange)));
        }
        catch (error) {
            return exchange.fail(error);
        }
        finally {
            exchange.end();
        }
    });
    // The listener answers what goes wrong here.
    app.onError((error) => {
        throw error;
    });
    return app;
}
/** Nobody gets further without a valid certificate, and nothing does once the gateway is shutting down. */
function assertAdmitted({ client }, { admission, isDraining }) {
    const refusal = admission.refusalOf(client);
    if (refusal !== undefined)
        throw refusal;
    if (isDraining())
        throw refuse('DRAINING');
}
/** Who may use no pool at all learns nothing of which paths there are. */
function find(url, exchange, table, { pools, admission }) {
    const { client, record } = exchange;
    const path = pathOf(url);
    const destination = table.find(path);
    if (destination === undefined) {
        record.path = cut(path);
        if (pools.some((pool) => admission.mayUse(client, pool)))
            throw refuse('ROUTE_UNKNOWN');
        throw refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' });
    }
    record.pool = destination.pool.name;
    record.operation = destination.route.operation;
    if (admission.mayUse(client, destination.pool))
        return destination;
    throw refuse('UNAUTHORIZED', { reason: 'CLIENT_NOT_ALLOWED' });
}
function assertKeyName({ route, keyName }, { record }) {
    if (!route.takesKey)
        return;
    if (!isKeyName(keyName))
        throw refuse('KEY_NAME_INVALID');
    record.key = keyName;
}
/** The path as it was sent. */
function pathOf(url) {
    const start = url.indexOf('/', url.indexOf('://') + 3);
    const end = url.indexOf('?', start);
    return end === -1 ? url.slice(start) : url.slice(start, end);
}
const query = `?api-version=${apiVersion}`;
/** Whether the query is what Azure sends, which needs no parser to be understood. */
const hasPlainApiVersion = (url) => url.slice(url.indexOf('?')) === query;
function assertApiVersion(versions) {
    if (versions.length === 1 && versions[0] === apiVersion)
        return;
    const problem = versions.length === 0 ? 'is required' : versions.length > 1 ? 'is repeated' : 'is not supported';
    throw new RequestInvalid(`the query parameter api-version ${problem}: use api-version=${apiVersion}`);
}
