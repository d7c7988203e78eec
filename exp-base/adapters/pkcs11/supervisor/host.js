import { Answer, Ask } from "../frames.js";
import { decodeMessage, decodeRefusal, encodeMessage } from "../host-protocol.js";
import { ckrName } from "../ckr-table.js";
import { TokenError } from "../token-error.js";
import { HostProcess } from "./host-process.js";
import { Job } from "./job.js";
/** A host process and the jobs that are with it, oldest first. */
export class Host {
    state = 'opening';
    /** Its oldest call lasts so long that nothing else is given to it. */
    stalled = false;
    readyAt = 0;
    /** Another is to take its place; until that is ready, it serves on. */
    outdated = false;
    /** Calls that failed with the session and are tried once more on its successor. */
    waiting = [];
    #process;
    #jobs = new Map();
    #load = 0;
    #headSince = performance.now();
    constructor(environment, events) {
        this.#process = new HostProcess(environment, {
            replied: (id, answer, payload) => this.#replied(id, answer, payload, events),
            ended: (why) => {
                this.state = 'gone';
                events.ended(why);
            },
        });
    }
    get pid() {
        return this.#process.pid;
    }
    /** The weight of the calls that are with it. */
    get load() {
        return this.#load;
    }
    /** For how long its oldest call has lasted, in milliseconds. */
    headAge(now) {
        return this.#jobs.size === 0 ? 0 : now - this.#headSince;
    }
    give(job) {
        if (this.#jobs.size === 0)
            this.#headSince = performance.now();
        this.#jobs.set(this.#process.send(job.kind, job.payload), job);
        this.#load += job.weight;
    }
    /** Takes back the calls behind the oldest. Their answers, should they still come, are dropped. */
    recall() {
        const [, ...behind] = [...this.#jobs].filter(([, job]) => !(job instanceof OwnJob));
        for (const [id, job] of behind) {
            this.#jobs.delete(id);
            this.#load -= job.weight;
        }
        return behind.map(([, job]) => job);
    }
    /** Takes back every call, oldest first, those that wait for a new session included. */
    abandon(error) {
        const jobs = [...this.#jobs.values()];
        const calls = jobs.filter((job) => !(job instanceof OwnJob));
        this.#jobs.clear();
        this.#load = 0;
        for (const job of jobs)
            if (job instanceof OwnJob)
                job.reject(error);
        const begun = calls.find((job) => job === jobs[0]);
        const others = [...calls.filter((job) => job !== begun), ...this.waiting];
        this.waiting = [];
        return { begun, others };
    }
    /** Loads the module and logs in. Rejects with what the host or the token had against it. */
    async open(message) {
        return decodeMessage(await this.#own(Ask.open, encodeMessage(message)));
    }
    async reopen(pin) {
        await this.#own(Ask.reopen, encodeMessage({ ...(pin && { pin }) }));
    }
    async probe() {
        await this.#own(Ask.probe, new Uint8Array());
    }
    kill() {
        this.state = 'gone';
        return this.#process.kill();
    }
    /** A request of the pool's own; its errors are not the pool's to repair. */
    #own(kind, payload) {
        const job = new OwnJob(kind, payload, {});
        // A login can have waited for its turn while its host was lost; nobody would answer it any more.
        if (this.state === 'gone')
            job.reject(TokenError.unavailable('the HSM host is gone'));
        else
            this.give(job);
        return job.promise;
    }
    #replied(id, answer, payload, events) {
        const job = this.#jobs.get(id);
        this.#jobs.delete(id);
        this.#load -= job?.weight ?? 0;
        this.#headSince = performance.now();
        this.stalled = false;
        if (job === undefined)
            payload.fill(0);
        else if (answer === Answer.result)
            job.resolve(payload);
        else if (answer === Answer.refused)
            job.reject(decodeRefusal(payload));
        else if (answer === Answer.invalidCiphertext) {
            job.reject(TokenError.invalidCiphertext());
        }
        else {
            const ckr = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
            if (job instanceof OwnJob)
                job.reject(TokenError.unavailable(`the token answered ${ckrName(ckr)}`, ckr));
            else
                events.failed(job, ckr);
        }
        events.idle();
    }
}
class OwnJob extends Job {
}
