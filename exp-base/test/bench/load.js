import { performance } from 'node:perf_hooks';
import { HttpConnection } from "./http-connection.js";
import { cpuSeconds, treeOf } from "./process-tree.js";
import { assertRight, isRight } from "./request.js";
/** Open connections to one server. */
export const openConnections = (target, count) => Promise.all(Array.from({ length: count }, () => HttpConnection.open(target)));
/**
 * Each connection sends its next request when the reply has come: as many as the server can answer. Every reply is
 * checked; rejects at the first that is wrong.
 *
 * @param pid the server's
 */
export async function closedLoop(connections, calls, seconds, pid) {
    const server = treeOf(pid);
    const [start, cpuStart, busyStart] = [performance.now(), cpuSeconds(server), performance.eventLoopUtilization()];
    const end = start + seconds * 1000;
    let answered = 0;
    const run = (connection, first) => new Promise((resolve, reject) => {
        let next = first;
        connection.onLost(reject);
        const send = () => {
            const call = calls[next % calls.length];
            if (call === undefined)
                throw new RangeError('no calls');
            next += 1;
            connection.send(call.request, (reply) => {
                if (!isRight(call, reply))
                    reject(new Error(`a wrong reply: ${reply.status} ${reply.body}`));
                answered += 1;
                if (performance.now() < end)
                    send();
                else
                    resolve();
            });
        };
        send();
    });
    await Promise.all(connections.map(run));
    const elapsed = (performance.now() - start) / 1000;
    const cpu = cpuSeconds(server) - cpuStart;
    return {
        perSecond: answered / elapsed,
        perCpuSecond: answered / cpu,
        serverBusy: cpu / elapsed,
        generatorBusy: performance.eventLoopUtilization(busyStart).utilization,
    };
}
/** One request after the other on one connection; gives what each took, in milliseconds. */
export async function serial(connection, calls, count) {
    const times = [];
    for (let sent = 0; sent < count; sent += 1) {
        const call = calls[sent % calls.length];
        if (call === undefined)
            throw new RangeError('no calls');
        const start = performance.now();
        const reply = await connection.exchange(call.request);
        times.push(performance.now() - start);
        assertRight(call, reply);
    }
    return times;
}
const TICK_MS = 1;
/** So long after the last request was due, one that has no reply counts as failed. */
const PATIENCE_MS = 5000;
/**
 * Each request is due at its time, whether or not those before it are answered. One that finds all connections busy waits
 * for one, and its time counts from when it was due.
 */
export async function openLoop({ connections, calls, rate }, seconds) {
    const times = [];
    const failures = {};
    const total = Math.round(rate * seconds);
    const start = performance.now();
    const dueAt = (index) => start + (index * 1000) / rate;
    const free = [...connections];
    let sent = 0;
    let over = 0;
    const fail = (what) => {
        failures[what] = (failures[what] ?? 0) + 1;
        over += 1;
    };
    const sendDue = () => {
        const now = performance.now();
        while (sent < total && dueAt(sent) <= now) {
            const connection = free.pop();
            if (connection === undefined)
                return;
            const call = calls[sent % calls.length];
            if (call === undefined)
                throw new RangeError('no calls');
            const due = dueAt(sent);
            sent += 1;
            connection.onLost(({ message }) => fail(message));
            connection.send(call.request, (reply) => {
                if (isRight(call, reply)) {
                    times.push(performance.now() - due);
                    over += 1;
                }
                else
                    fail(reply.status === 200 ? 'a wrong result' : `status ${reply.status}`);
                connection.onLost(() => undefined);
                free.push(connection);
                sendDue();
            });
        }
    };
    const patience = start + seconds * 1000 + PATIENCE_MS;
    while (over < total && performance.now() < patience) {
        sendDue();
        await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    if (over < total)
        failures['no reply'] = total - over;
    return { times, failures };
}
