import { expect, it } from 'vitest';
import { open } from "../../adapters/software/index.js";
import { KeyStore } from "../../adapters/software/store.js";
import { contextOf } from "../support/context.js";
import { octKey, PASSPHRASE, secret, temporaryDirectory } from "./fixtures.js";
/** Makes a store at the default cost; resolves with how long it takes to open it. */
async function openingMs(keys) {
    const temporary = await temporaryDirectory();
    const passphrase = () => secret(PASSPHRASE);
    const store = await KeyStore.openOrCreate({ ...temporary, passphrase: passphrase() });
    await Promise.all(Array.from({ length: keys }, (_, index) => store.add(octKey(`key-${index}`))));
    const start = performance.now();
    const adapter = await open({ ...temporary, passphrase: passphrase() }, () => undefined);
    const elapsed = performance.now() - start;
    const context = contextOf(new AbortController().signal, Infinity, 'test');
    for (const index of [0, keys - 1]) {
        expect(await adapter.describe(`key-${index}`, context)).toEqual({ kty: 'oct', bits: 256 });
    }
    await adapter.close();
    await temporary.remove();
    return elapsed;
}
it('the passphrase is stretched once, however many keys there are', { timeout: 60_000 }, async () => {
    // To stretch it costs a hundred times as much as to read a key.
    expect(await openingMs(100)).toBeLessThan(10 * (await openingMs(1)));
});
