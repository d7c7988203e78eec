import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openBackend } from "../../src/backends.js";
import { FaultyAdapter } from "../support/faulty-adapter.js";
import { aesKey, startTestGateway } from "../support/gateway.js";
import { API, CONTEXT, makeAgent, send } from "../support/https.js";
import { CLIENT_CN, makePki } from "../support/pki.js";
const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url');
/** What a reply takes that needs no backend, on a machine that is busy. */
const AT_ONCE_MS = 350;
let pki;
let fixture;
let agent;
const adapters = new Map();
beforeAll(async () => {
    pki = await makePki();
});
afterEach(async () => {
    agent.destroy();
    await fixture.stop();
});
const software = (more = {}) => ({
    kind: 'software',
    directory: 'keys',
    passphrase: { file: 'passphrase' },
    ...more,
});
const pool = (name, backend, more = {}) => ({
    name,
    pathPrefix: name,
    clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
    backend,
    keys: { 'aes-1': {} },
    ...more,
});
/** Every backend is a FaultyAdapter, known by its `concurrency`, which no two of a test share. */
async function start(settings) {
    fixture = await startTestGateway(pki, [aesKey('aes-1')], settings, async (backend, report) => {
        const adapter = new FaultyAdapter(await openBackend(backend, report));
        adapters.set(String(backend.concurrency), adapter);
        return adapter;
    });
    agent = makeAgent(pki);
}
const faultOf = (concurrency, fault) => {
    const adapter = adapters.get(String(concurrency));
    if (adapter === undefined)
        throw new Error('there is no such adapter');
    adapter.fault = fault;
    return adapter;
};
async function wrap(poolName, operation = 'wrapkey') {
    const start = performance.now();
    const reply = await send(fixture.port, pki, {
        agent,
        path: `/${poolName}${operation === 'info' ? '' : '/aes-1'}/${operation}?${API}`,
        body: { request_context: CONTEXT, ...(operation === 'wrapkey' && { alg: 'A256KWP', value: VALUE }) },
    });
    return { ...reply, ms: performance.now() - start };
}
const statuses = (replies) => replies.map(({ status }) => status).sort();
const many = (count, poolName) => Promise.all(Array.from({ length: count }, () => wrap(poolName)));
describe('a backend that is asked more than it can do', () => {
    it('answers what it has room for, and the rest at once with 429 and when to come back', async () => {
        await start({ backend: software({ concurrency: 2, queue: 3 }), pools: [pool('a', 'store')] });
        await many(20, 'a');
        const adapter = faultOf(2, { delayMs: 500 });
        adapter.calls = [];
        const replies = await many(20, 'a');
        expect(statuses(replies)).toEqual([...Array(5).fill(200), ...Array(15).fill(429)]);
        expect(adapter.calls).toHaveLength(5);
        for (const reply of replies.filter(({ status }) => status === 429)) {
            expect(reply.json['code']).toBe('Throttled');
            expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1);
            expect(reply.ms).toBeLessThan(500);
        }
        expect((await fixture.logged('request')).at(-1)).toMatchObject({ pool: 'a', backend: 'store' });
    });
    it('is not sent what could not be answered in time', async () => {
        const limits = { deadlineMs: 300 };
        await start({ limits, backend: software({ concurrency: 1, queue: 100 }), pools: [pool('a', 'store')] });
        const adapter = faultOf(1, { delayMs: 100 });
        for (let i = 0; i < 20; i += 1)
            await wrap('a');
        adapter.calls = [];
        const replies = await many(30, 'a');
        // Three fit into the deadline; more where a busy machine brings the requests one after the other.
        expect(adapter.calls.length).toBeLessThanOrEqual(8);
        expect(statuses(replies).filter((status) => status === 429).length).toBeGreaterThanOrEqual(22);
    });
    it('serves one pool in the flood of another', async () => {
        const pools = [pool('a', 'store'), pool('b', 'store')];
        await start({ limits: { deadlineMs: 5000 }, backend: software({ concurrency: 1, queue: 100 }), pools });
        await Promise.all([wrap('a'), wrap('b')]);
        faultOf(1, { delayMs: 80 });
        const flood = many(25, 'a');
        await wrap('a', 'info');
        const reply = await wrap('b');
        expect([reply.status, statuses(await flood)]).toEqual([200, Array(25).fill(200)]);
        // Alone behind the 25 of the flood it would be 2 seconds.
        expect(reply.ms).toBeLessThan(1000);
    });
});
describe('a pool', () => {
    it('has no more calls under way than its limit', async () => {
        const pools = [pool('a', 'store', { limits: { concurrency: 1 } })];
        await start({ backend: software({ concurrency: 8, queue: 2 }), pools });
        await wrap('a');
        faultOf(8, { delayMs: 500 });
        const replies = await many(10, 'a');
        expect(statuses(replies)).toEqual([200, 200, 200, ...Array(7).fill(429)]);
    });
    it('is answered as often as its limit allows, with 429 beyond, and info always', async () => {
        const pools = [pool('a', 'store', { limits: { requestsPerSecond: 10 } })];
        await start({ backend: software(), pools });
        const replies = await many(30, 'a');
        const refused = replies.filter(({ status }) => status === 429);
        expect(replies.length - refused.length).toBeGreaterThanOrEqual(10);
        expect(replies.length - refused.length).toBeLessThan(20);
        expect(refused[0]?.headers['retry-after']).toBe('1');
        expect((await wrap('a', 'info')).status).toBe(200);
        await new Promise((resolve) => setTimeout(resolve, 1000));
        expect((await wrap('a')).status).toBe(200);
    });
});
describe('a backend that is down', () => {
    const twoBackends = {
        limits: { deadlineMs: 400 },
        backend: software({ concurrency: 11 }),
        backends: { other: software({ concurrency: 12 }) },
        pools: [pool('sick', 'store'), pool('well', 'other')],
    };
    it('that hangs is 408 five times and then 502 at once, costs no other its latency, and is back within 2 s', async () => {
        await start(twoBackends);
        await Promise.all([wrap('sick'), wrap('well')]);
        const adapter = faultOf(11, { delayMs: 60_000 });
        const replies = await many(5, 'sick');
        expect(statuses(replies)).toEqual([408, 408, 408, 408, 408]);
        const fast = await wrap('sick');
        expect([fast.status, fast.json['code']]).toEqual([502, 'BadGateway']);
        expect(fast.ms).toBeLessThan(AT_ONCE_MS);
        const others = await many(20, 'well');
        expect(statuses(others)).toEqual(Array(20).fill(200));
        expect(Math.max(...others.map(({ ms }) => ms))).toBeLessThan(AT_ONCE_MS);
        expect(await fixture.logged('backend_down')).toMatchObject([{ level: 'error', backend: 'store' }]);
        adapter.fault = {};
        const back = performance.now();
        while ((await wrap('sick')).status !== 200)
            await new Promise((resolve) => setTimeout(resolve, 20));
        // A probe that was sent to the sick backend is given up after 2 s.
        expect(performance.now() - back).toBeLessThan(2700);
        expect(await fixture.logged('backend_up')).toMatchObject([{ level: 'info', backend: 'store' }]);
    });
});
