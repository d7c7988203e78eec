import { assertValidity, OperatorError, } from "../contract/index.js";
import { generate, parseMaterial } from "./key-material.js";
import { KeyStore } from "./store.js";
import { assertKeyName } from "./stored-key.js";
import { summaryOf } from "./usable-key.js";
/** `keys …` on a software store. A running gateway sees every change within seconds. */
export class SoftwareAdministration {
    #options;
    constructor(options) {
        this.#options = options;
    }
    async create(name, spec, validity) {
        assertKeyName(name);
        return this.#add(name, await generate(spec), validity);
    }
    async import(name, material, validity) {
        try {
            assertKeyName(name);
            return await this.#add(name, await parseMaterial(material), validity);
        }
        finally {
            material.fill(0);
        }
    }
    async list() {
        const store = await KeyStore.open(this.#options);
        return (await store.readAll()).map(summaryOf);
    }
    async setEnabled(name, enabled) {
        assertKeyName(name);
        const store = await KeyStore.open(this.#options);
        if (!(await store.versions()).has(name)) {
            throw new OperatorError('KEY_NOT_FOUND', `the store ${store.directory} has no key ${name}`);
        }
        const key = { ...(await store.read(name)), enabled };
        await store.replace(key);
        return summaryOf(key);
    }
    async #add(name, jwk, validity) {
        assertValidity(validity);
        const store = await KeyStore.openOrCreate(this.#options);
        const key = { name, jwk, enabled: true, created: new Date(), ...validity };
        await store.add(key);
        return summaryOf(key);
    }
}
