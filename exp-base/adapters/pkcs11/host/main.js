/**
 * The program of an HSM host: a child process that loads the vendor's PKCS#11 module, so that a call that hangs or a
 * crash is this process's and not the gateway's. It never returns to the event loop: a blocking read of file descriptor
 * 3, the calls, a blocking write. It ends when the gateway closes its end.
 */
import { readSync, writeSync } from 'node:fs';
import { encodeFrame, FrameReader } from "../frames.js";
import { Service } from "./service.js";
const CHANNEL = 3;
const READ_BYTES = 64 * 1024;
// The gateway decides when a host ends. A terminal's Ctrl-C or a service manager reaches the whole group at once, while
// the gateway still has requests to finish.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
function writeAll(bytes) {
    try {
        for (let at = 0; at < bytes.length;)
            at += writeSync(CHANNEL, bytes, at);
    }
    catch {
        process.exit(0);
    }
}
/** Answers that come soon after each other go together: each write wakes the gateway, which costs it more than the data. */
const GATHER_MS = 0.2;
let answers = [];
let gatheringSince = 0;
function flush() {
    if (answers.length === 0)
        return;
    const bytes = answers.length === 1 && answers[0] ? answers[0] : Buffer.concat(answers);
    writeAll(bytes);
    for (const answer of [bytes, ...answers])
        answer.fill(0);
    answers = [];
}
const service = new Service((id, answer, payload) => {
    if (answers.length === 0)
        gatheringSince = performance.now();
    answers.push(encodeFrame(id, answer, payload));
    if (performance.now() - gatheringSince > GATHER_MS)
        flush();
});
const reader = new FrameReader();
const chunk = Buffer.alloc(READ_BYTES);
for (;;) {
    let count;
    try {
        count = readSync(CHANNEL, chunk, 0, READ_BYTES, null);
    }
    catch {
        break;
    }
    if (count === 0)
        break;
    const requests = [];
    reader.push(chunk.subarray(0, count), ({ id, kind, payload }) => requests.push({ id, kind, payload: Uint8Array.from(payload) }));
    chunk.fill(0, 0, count);
    await service.serve(requests);
    flush();
}
process.exit(0);
