import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OperatorError, systemCode } from "../contract/index.js";
const PRIVATE_FILE = 0o600;
const OTHERS = 0o077;
const MAX_FILE_BYTES = 64 * 1024;
/** Reads a file that only its owner may read; refuses any other, and anything that is not a small regular file. */
export async function readPrivateFile(path) {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error) => {
        throw unreadable(path, error);
    });
    try {
        const stats = await handle.stat();
        if (!stats.isFile())
            throw new OperatorError('FILE_KIND', `${path} is not a regular file`);
        if ((stats.mode & OTHERS) !== 0) {
            const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
            throw new OperatorError('FILE_MODE', `${path} is open to other users (mode ${mode}): run chmod 600 ${path}`);
        }
        if (stats.size > MAX_FILE_BYTES)
            throw new OperatorError('FILE_KIND', `${path} is too large to be a key file`);
        return await handle.readFile('utf8');
    }
    finally {
        await handle.close();
    }
}
async function syncDirectory(path) {
    const handle = await open(path, constants.O_RDONLY);
    try {
        await handle.sync();
    }
    finally {
        await handle.close();
    }
}
/** What an operator can do something about, in place of a bare system error. */
export const unreadable = (path, error) => new OperatorError('FILE_UNREADABLE', `${path} cannot be read (${systemCode(error)})`);
export const unwritable = (path, error) => new OperatorError('FILE_UNWRITABLE', `${path} cannot be written (${systemCode(error)})`);
/**
 * Writes a whole file or nothing: to a temporary file, synced, then moved into place in one step. A crash at any moment
 * leaves the old file or the new one. `create` never touches a file that is there and then rejects with `EEXIST`.
 */
export async function writePrivateFile(path, text, mode) {
    await writeWhole(path, text, mode).catch((error) => {
        if (mode === 'create' && systemCode(error) === 'EEXIST')
            throw error;
        throw unwritable(path, error);
    });
}
async function writeWhole(path, text, mode) {
    const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
    const handle = await open(temporary, 'wx', PRIVATE_FILE);
    try {
        try {
            await handle.writeFile(text);
            await handle.sync();
        }
        finally {
            await handle.close();
        }
        // A hard link, unlike a rename, refuses to replace what is there.
        if (mode === 'create')
            await link(temporary, path);
        else
            await rename(temporary, path);
    }
    finally {
        if (mode === 'create')
            await unlink(temporary);
        else
            await unlink(temporary).catch(() => undefined);
    }
    await syncDirectory(dirname(path));
}
