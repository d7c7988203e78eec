import { AdapterError } from "../../../adapters/contract/index.js";
import { checkEnd, checkNames, tellUnusable } from "./key-names.js";
import { checkWays, comesBack } from "./key-use.js";
import { callWithin } from "./time-limit.js";
const DESCRIBE_MS = 5000;
/** One key: whether it is there, how it is used, and whether what it wraps comes back. */
export async function checkKey(key, question, findings) {
    const { adapter, exposed } = question;
    const { subject, ref } = key;
    let description;
    try {
        description = await callWithin(DESCRIBE_MS, (context) => adapter.describe(ref, context));
    }
    catch (error) {
        if (!(error instanceof AdapterError))
            throw error;
        tellUnusable(key, error, question, findings);
        return undefined;
    }
    const words = description.kty === 'oct' ? `an AES key of ${description.bits} bits` : `an RSA key of ${description.bits} bits`;
    findings.ok('key.found', words, { subject, fields: { kty: description.kty, bits: description.bits } });
    checkNames(key, question, findings);
    checkEnd(key, question, findings);
    if (exposed.has(ref)) {
        findings.warning('key.exposed', 'it can leave the token: CKA_SENSITIVE is false, or CKA_EXTRACTABLE is true', {
            subject,
            advice: 'make a new one with keys create, move to it, and set requireSensitive',
        });
    }
    const algorithms = await checkWays(key, description, question, findings);
    const working = [];
    for (const algorithm of algorithms) {
        if (await comesBack(key, algorithm, adapter, findings))
            working.push(algorithm);
    }
    return { ...key, algorithms: working };
} // prettier-ignore
