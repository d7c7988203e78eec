import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from "../../adapters/contract/index.js";
import { KeyStore } from "../../adapters/software/store.js";
/** The cheapest cost that a store may have, for tests that are not about it. */
export const quickCost = { N: 2 ** 14, r: 8, p: 1 };
export const secret = (text) => new Secret(new TextEncoder().encode(text));
export const PASSPHRASE = 'correct horse battery staple';
export async function temporaryDirectory() {
    const parent = await mkdtemp(join(tmpdir(), 'ekm-gateway-test-'));
    return { directory: join(parent, 'keys'), remove: () => rm(parent, { recursive: true, force: true }) };
}
/** An empty store that opens quickly. */
export async function temporaryStore() {
    const { directory, remove } = await temporaryDirectory();
    const options = { directory, passphrase: secret(PASSPHRASE) };
    return { ...options, store: await KeyStore.openOrCreate(options, quickCost), remove };
}
/** A new AES key, not yet in any store. */
export const octKey = (name, enabled = true) => ({
    name,
    jwk: { kty: 'oct', k: randomBytes(32).toString('base64url') },
    enabled,
    created: new Date('2026-01-02T03:04:05Z'),
});
/** What an adapter told the operator, in the order in which it did. */
export class Reports {
    all = [];
    report = (level, event, fields) => {
        this.all.push({ level, event, fields });
    };
    of(event, key) {
        return this.all.filter((entry) => entry.event === event && entry.fields['key'] === key);
    }
}
