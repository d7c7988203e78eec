import { constants, createWriteStream, fstat, open, stat } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
/** What a destination may owe before lines are dropped, in bytes. */
const MAX_PENDING_BYTES = 8 * 1024 * 1024;
const TEND_MS = 1000;
/** Lines are kept so long for those that come after them: what a write costs hardly depends on its length. */
const GATHER_MS = 10;
/** So much is written without waiting for more, in UTF-16 code units. */
const GATHER_LENGTH = 64 * 1024;
const FILE_MODE = 0o640;
/**
 * Takes whole lines and never makes the caller wait: what a slow, blocked or full destination does not take is kept up
 * to a bound, then dropped and counted. A file that failed, was moved or removed is opened
 * again within a second.
 */
export class LogSink {
    #destination;
    /** A line that says how many were lost, written as soon as lines can be written again. */
    #lossNotice;
    #target;
    #batch = [];
    #batchBytes = 0;
    #gathering;
    #batchLines = 0;
    #dropped = 0;
    #tending;
    #closed = false;
    constructor(destination, target, lossNotice) {
        this.#destination = destination;
        this.#lossNotice = lossNotice;
        this.#adopt(target);
        if (target.renewable)
            this.#tendLater();
    }
    /** Rejects with the system's error if a file cannot be opened for appending. */
    static async open(destination, lossNotice) {
        return new LogSink(destination, await openTarget(destination), lossNotice);
    }
    /** Lines lost so far and not yet told of. */
    get dropped() {
        return this.#dropped;
    }
    /** Takes a line, or several at once. */
    write(line, lines = 1) {
        const owed = this.#batchBytes + (this.#target?.stream.writableLength ?? 0);
        if (this.#closed || owed + line.length > MAX_PENDING_BYTES) {
            this.#dropped += lines;
            return;
        }
        this.#batch.push(line);
        this.#batchBytes += line.length;
        this.#batchLines += lines;
        if (this.#batchBytes >= GATHER_LENGTH)
            this.#flush();
        else
            this.#gathering ??= setTimeout(() => this.#flush(), GATHER_MS);
    }
    /** Writes what is owed and lets go, at the latest after `patienceMs`. */
    async close(patienceMs) {
        this.#flush();
        this.#closed = true;
        clearTimeout(this.#tending);
        const stream = this.#target?.stream;
        if (stream === undefined)
            return;
        await new Promise((resolve) => {
            const timer = setTimeout(resolve, patienceMs);
            stream.end(() => {
                clearTimeout(timer);
                resolve();
            });
        });
        stream.destroy();
    }
    #flush() {
        clearTimeout(this.#gathering);
        this.#gathering = undefined;
        if (this.#target === undefined || this.#batch.length === 0)
            return;
        const told = this.#dropped;
        const lines = this.#batchLines;
        const text = this.#batch.join('') + (told > 0 ? this.#lossNotice(told) : '');
        this.#dropped = 0;
        this.#batch = [];
        this.#batchBytes = 0;
        this.#batchLines = 0;
        this.#target.stream.write(text, (error) => {
            if (error)
                this.#dropped += lines + told;
        });
    }
    #adopt(target) {
        this.#target = target;
        target.stream.on('error', () => {
            // What is written to a pipe that broke for good counts as lost.
            if (this.#target === target && target.renewable)
                this.#target = undefined;
        });
    }
    #tendLater() {
        this.#tending = setTimeout(() => {
            void this.#tend().finally(() => {
                if (!this.#closed)
                    this.#tendLater();
            });
        }, TEND_MS);
        this.#tending.unref();
    }
    async #tend() {
        const old = this.#target;
        if (old !== undefined && (await isStillThere(old)))
            return;
        this.#target = undefined;
        old?.stream.end();
        const target = await openTarget(this.#destination).catch(() => undefined);
        if (target === undefined)
            return;
        if (this.#closed)
            target.stream.destroy();
        else
            this.#adopt(target);
        this.#flush();
    }
}
async function openTarget(destination) {
    const standard = { stdout: 1, stderr: 2 }[destination];
    if (standard !== undefined) {
        const stats = await promisify(fstat)(standard);
        return { stream: openStream(standard, stats), stats, renewable: !isPipe(stats) };
    }
    const fd = await promisify(open)(destination, await flagsFor(destination), FILE_MODE);
    const stats = await promisify(fstat)(fd);
    return { stream: openStream(fd, stats), stats, path: destination, renewable: true };
}
const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;
/** To open a named pipe for writing alone would wait for a reader. */
async function flagsFor(path) {
    const stats = await promisify(stat)(path).catch(() => undefined);
    return stats?.isFIFO() ? O_RDWR | O_NONBLOCK : O_WRONLY | O_APPEND | O_CREAT;
}
const isPipe = (stats) => stats.isFIFO() || stats.isSocket();
/** A pipe is written without blocking: a thread stuck in write(2) would keep the process from ending. */
function openStream(fd, stats) {
    if (isPipe(stats))
        return new Socket({ fd, readable: false, writable: true });
    return createWriteStream('', { fd, autoClose: fd > 2 });
}
/** Whether a file is still the one of that name: log rotation moves it away. */
async function isStillThere({ path, stats }) {
    if (path === undefined)
        return true;
    const now = await promisify(stat)(path).catch(() => undefined);
    return now?.ino === stats.ino && now.dev === stats.dev;
}
