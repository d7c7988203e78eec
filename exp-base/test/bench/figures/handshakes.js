var __addDisposableResource = (this && this.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (this && this.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
import { HttpConnection } from "../http-connection.js";
import { keyNames, prefixes, untilRight } from "../laboratory.js";
import { cpuSeconds, treeOf } from "../process-tree.js";
import { assertRight, makePair } from "../request.js";
import { paired, ratio, spreadOf } from "../statistics.js";
import { inTurns } from "../turns.js";
const AT_ONCE = 8;
const kinds = ['full', 'resumed'];
export const handshakes = {
    name: 'handshakes',
    title: 'new TLS 1.3 connections with a client certificate, one wrap on each',
    async measure(bench) {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const { laboratory, plan } = bench;
            const gateway = __addDisposableResource(env_1, await laboratory.gateway(), true);
            const bare = __addDisposableResource(env_1, await laboratory.bareServer('https'), true);
            const alg = 'A256KWP';
            const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg };
            const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg));
            const servers = [
                { name: 'gateway', server: gateway },
                { name: 'bare node:https', server: bare },
            ];
            const contestants = servers.flatMap(({ name, server }) => kinds.map((kind) => ({ name: `${name}, ${kind}`, turn: () => connect(server, call, kind, plan.handshakes) })));
            for (const { server } of servers)
                await untilRight(server, call);
            for (const { turn } of contestants)
                await turn();
            const results = await inTurns(bench, contestants);
            const cost = (name) => results.get(name) ?? [];
            const added = (kind) => paired(cost(`gateway, ${kind}`), cost(`bare node:https, ${kind}`), (a, b) => (100 * (a - b)) / b);
            return {
                checks: [
                    {
                        what: 'resumed connections for each full one, by CPU time',
                        relation: 'at least',
                        target: 1.7,
                        unit: '×',
                        measured: spreadOf(paired(cost('gateway, full'), cost('gateway, resumed'), ratio)),
                    },
                    ...kinds.map((kind) => ({
                        what: `${kind}: CPU time added to a bare node:https server`,
                        relation: 'at most',
                        target: 10,
                        unit: '%',
                        measured: spreadOf(added(kind)),
                    })),
                ],
                series: contestants.map(({ name }) => ({ what: name, unit: 'ms of server CPU', values: cost(name) })),
                notes: [`${plan.handshakes} connections a turn, ${AT_ONCE} at a time; each sends one request and is closed.`],
            };
        }
        catch (e_1) {
            env_1.error = e_1;
            env_1.hasError = true;
        }
        finally {
            const result_1 = __disposeResources(env_1);
            if (result_1)
                await result_1;
        }
    },
};
/** Milliseconds of the server's CPU time for each connection. */
async function connect({ pid, target }, call, kind, count) {
    let session;
    let left = count;
    const one = async () => {
        const connection = await HttpConnection.open(target, { session: kind === 'resumed' ? session : undefined });
        const reply = await connection.exchange(call.request);
        connection.close();
        assertRight(call, reply);
        return connection;
    };
    // The first brings the ticket.
    session = (await one()).session;
    const server = treeOf(pid);
    const before = cpuSeconds(server);
    const run = async () => {
        while (left > 0) {
            left -= 1;
            const { resumed, session: latest } = await one();
            if (resumed !== (kind === 'resumed'))
                throw new Error(`a connection that should be ${kind} is not`);
            session = latest ?? session;
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, run));
    return (1000 * (cpuSeconds(server) - before)) / count;
}
