import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AdapterError } from "../../adapters/contract/index.js";
import { Breaker } from "../../src/ekm/breaker.js";
let probe;
let probes;
let changes;
let breaker;
const failure = (code) => new AdapterError(code, 'a fault of the test');
const fail = (times, code = 'BACKEND_UNAVAILABLE') => {
    for (let i = 0; i < times; i += 1)
        breaker.note(failure(code));
};
beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    probe = async () => undefined;
    probes = 0;
    changes = [];
    breaker = new Breaker({
        probe: () => {
            probes += 1;
            return probe();
        },
        onChange: (isUp) => changes.push(isUp),
    });
});
afterEach(() => {
    breaker.stop();
    vi.useRealTimers();
});
describe('a breaker', () => {
    it.each(['BACKEND_UNAVAILABLE', 'DEADLINE_EXCEEDED'])('opens after five times %s in a row', (code) => {
        fail(4, code);
        breaker.note();
        fail(4, code);
        breaker.assertClosed();
        fail(1, code);
        expect(() => breaker.assertClosed()).toThrow(expect.objectContaining({ code: 'BACKEND_UNAVAILABLE' }));
        expect([changes, breaker.isReady]).toEqual([[false], false]);
    });
    it('takes a refusal for an answer, and what is the gateway’s own affair for nothing', () => {
        fail(4);
        breaker.note(failure('KEY_NOT_FOUND'));
        fail(4);
        for (const code of ['BACKEND_BUSY', 'CANCELLED', 'CLOSED'])
            breaker.note(failure(code));
        expect(breaker.isOpen).toBe(false);
        fail(1);
        expect(breaker.isOpen).toBe(true);
    });
    it('probes twice a second while it is open, and closes on probation', async () => {
        probe = () => Promise.reject(failure('BACKEND_UNAVAILABLE'));
        fail(5);
        await vi.advanceTimersByTimeAsync(1600);
        expect([probes, breaker.isOpen]).toEqual([3, true]);
        probe = async () => undefined;
        await vi.advanceTimersByTimeAsync(500);
        expect([breaker.isOpen, breaker.isReady, changes]).toEqual([false, true, [false, true]]);
        fail(1);
        expect(breaker.isOpen).toBe(true);
        await vi.advanceTimersByTimeAsync(500);
        breaker.note();
        fail(4);
        expect(breaker.isOpen).toBe(false);
    });
    it('gives a probe that hangs up', async () => {
        probe = () => new Promise(() => undefined);
        fail(5);
        await vi.advanceTimersByTimeAsync(500 + 2000 + 500);
        expect([probes, breaker.isOpen]).toEqual([2, true]);
    });
    it('probes a backend that nobody asks, is not ready after one failure, and open after two', async () => {
        await vi.advanceTimersByTimeAsync(4000);
        breaker.note();
        await vi.advanceTimersByTimeAsync(4000);
        expect(probes).toBe(0);
        probe = () => Promise.reject(failure('BACKEND_UNAVAILABLE'));
        await vi.advanceTimersByTimeAsync(2000);
        expect([probes, breaker.isReady, breaker.isOpen]).toEqual([1, false, false]);
        await vi.advanceTimersByTimeAsync(500);
        expect([probes, breaker.isOpen]).toEqual([2, true]);
    });
    it('does nothing once it is stopped', async () => {
        breaker.stop();
        fail(5);
        await vi.advanceTimersByTimeAsync(60_000);
        expect([probes, changes]).toEqual([0, []]);
    });
});
