import { isKeyName, KEY_NAME_RULE, OperatorError, rsaSizes, } from "../contract/index.js";
import { CKK } from "./cryptoki.js";
import { Ask } from "./frames.js";
import { decodeMessage, encodeMessage } from "./host-protocol.js";
import { firstDay, lastDay } from "./keys/dates.js";
import { summaryOf } from "./keys/token-key.js";
import { openPool } from "./open-pool.js";
/** Making a 4096-bit RSA pair takes an HSM tens of seconds. */
const GENERATE_TIMEOUT_MS = 60_000;
/** All keys are looked at in one call. */
const LIST_TIMEOUT_MS = 30_000;
const quiet = () => undefined;
/** `keys create` and `keys list` on a token. A running gateway finds a new key by itself. */
export class Pkcs11Administration {
    #options;
    constructor(options) {
        this.#options = options;
    }
    /** `name` becomes the CKA_LABEL; the CKA_ID is random. Validity is kept in whole days of UTC, never longer than asked. */
    async create(name, spec, validity) {
        const message = createMessage(name, spec, validity);
        return this.#withToken(true, GENERATE_TIMEOUT_MS, async (pool) => {
            const existing = await listFacts(pool);
            if (existing.some(({ label }) => label === name)) {
                throw new OperatorError('KEY_EXISTS', `the token has a key ${name} already; a key is never replaced`);
            }
            const facts = await pool.call(Ask.create, encodeMessage(message));
            return summaryOf(decodeMessage(facts));
        });
    }
    /** AES and RSA keys of any size, by label; one without a label as `id:` and its CKA_ID. */
    async list() {
        return this.#withToken(false, LIST_TIMEOUT_MS, async (pool) => (await listFacts(pool))
            .filter((facts) => facts.keyType === (facts.class === 'secret' ? CKK.AES : CKK.RSA))
            .map(summaryOf)
            .sort((a, b) => (a.name < b.name ? -1 : 1)));
    }
    async #withToken(readWrite, callTimeoutMs, work) {
        const pool = await openPool({ ...this.#options, callTimeoutMs }, { readWrite }, quiet);
        try {
            return await work(pool);
        }
        catch (error) {
            if (error instanceof OperatorError)
                throw error;
            const reason = error instanceof Error ? error.message : 'unknown';
            throw new OperatorError('TOKEN_UNUSABLE', `the token did not do it: ${reason}`);
        }
        finally {
            await pool.close();
        }
    }
}
const listFacts = async (pool) => decodeMessage(await pool.call(Ask.list, new Uint8Array()));
function createMessage(name, spec, { notBefore, expires }) {
    if (!isKeyName(name)) {
        throw new OperatorError('KEY_NAME_INVALID', `the key name ${JSON.stringify(name)} is not allowed: use ${KEY_NAME_RULE}`);
    }
    const sizes = spec.kty === 'oct' ? [256] : rsaSizes;
    if (!sizes.includes(spec.bits)) {
        throw new OperatorError('KEY_MATERIAL_INVALID', `a key of type ${spec.kty} and ${spec.bits} bits is not allowed: oct keys have 256 bits, RSA keys ${rsaSizes.join(', ')}`);
    }
    const startDate = notBefore && firstDay.fromDate(notBefore);
    const endDate = expires && lastDay.fromDate(expires);
    if (startDate !== undefined && endDate !== undefined && startDate > endDate) {
        throw new OperatorError('KEY_DATES_INVALID', 'no whole day lies between the two dates, and a token keeps only days');
    }
    return {
        label: name,
        kty: spec.kty,
        bits: spec.bits,
        ...(startDate !== undefined && { startDate }),
        ...(endDate !== undefined && { endDate }),
    };
}
