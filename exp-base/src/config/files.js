import { readFileSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { systemCode } from "../../adapters/contract/index.js";
/** Reads what was read before, elsewhere: another process gets the same configuration, whatever the disk says by now. */
export const readFrom = (contents) => (path) => {
    const bytes = contents.get(path);
    if (bytes === undefined)
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
    return Buffer.from(bytes);
};
/** Reads files from the disk, and remembers which and how they were. */
export class FileRecorder {
    contents = new Map();
    #stamps = new Map();
    read = (path) => {
        // The stamp is taken first: a file that changes in between looks changed, and is read again.
        this.#stamps.set(path, stampNow(path));
        const bytes = readFileSync(path);
        this.contents.set(path, bytes);
        return bytes;
    };
    /** Whether `other` found every file as this one did. */
    found(other) {
        return sameStamps(this.#stamps, other);
    }
    /** How the files that were read, or could not be, are now. */
    async look() {
        const paths = [...this.#stamps.keys()];
        const stamps = await Promise.all(paths.map(stampOf));
        return new Map(paths.map((path, index) => [path, stamps[index] ?? '']));
    }
}
export function sameStamps(one, other) {
    for (const [path, stamp] of one)
        if (other.get(path) !== stamp)
            return false;
    return one.size === other.size;
}
function stampNow(path) {
    try {
        return format(statSync(path, { bigint: true }));
    }
    catch (error) {
        return systemCode(error);
    }
}
/** Follows symbolic links, as reading does: Kubernetes changes the files of a volume by swapping one. */
const stampOf = (path) => stat(path, { bigint: true }).then(format, systemCode);
const format = ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join();
