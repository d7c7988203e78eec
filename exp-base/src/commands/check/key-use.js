import { randomBytes, timingSafeEqual } from 'node:crypto';
import { AdapterError, algorithmRow, wrapAlgorithms, } from "../../../adapters/contract/index.js";
import { callWithin } from "./time-limit.js";
const WAYS_MS = 15_000;
const CALL_MS = 5000;
const DATA_KEY_BYTES = 32;
/** The algorithms that have a way. */
export async function checkWays({ subject, ref }, { kty }, { adapter: { inspection } }, findings) {
    const algorithms = wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === kty);
    if (inspection === undefined) {
        findings.notChecked('key.way', 'this kind of backend does not say', { subject });
        return algorithms;
    }
    try {
        const ways = await callWithin(WAYS_MS, (context) => inspection.ways(ref, context));
        const any = ways.some(({ way }) => way !== undefined);
        for (const found of ways)
            tellWay(subject, found, any, findings);
        return ways.flatMap(({ algorithm, way }) => (way === undefined ? [] : [algorithm]));
    }
    catch (error) {
        if (!(error instanceof AdapterError))
            throw error;
        findings.problem('key.way', `it could not be found out (${error.code}): ${error.message}`, {
            subject,
            advice: 'look at the backend, and check again',
        });
        return [];
    }
}
function tellWay(subject, { algorithm, way, exported, rejected }, any, findings) {
    const before = rejected.map((other) => `${other.way}: ${other.reason}`).join('; ');
    const tried = before === '' ? '' : `; rejected: ${before}`;
    const more = { subject, fields: { algorithm, way: way ?? 'none', rejected: before } };
    if (way === undefined) {
        const found = `${algorithm}: no way gives right results${tried}`;
        const advice = 'the backend cannot do it: Azure must not be given this key for this algorithm';
        if (any)
            findings.warning('key.way', found, { ...more, advice });
        else
            findings.problem('key.way', found, { ...more, advice });
    }
    else if (exported === true) {
        const advice = 'for a backend that can do no better only: the key-encryption key is in the memory of the gateway';
        findings.warning('key.way', `${algorithm}: ${way}${tried}`, { ...more, advice });
    }
    else
        findings.ok('key.way', `${algorithm}: ${way}${tried}`, more);
}
export async function comesBack({ subject, ref }, algorithm, adapter, findings) {
    const dataKey = randomBytes(DATA_KEY_BYTES);
    const zero = (late) => late.fill(0);
    const more = { subject, fields: { algorithm } };
    let step = 'wrap';
    try {
        const wrapped = await callWithin(CALL_MS, (context) => adapter.wrap(ref, algorithm, dataKey, context), zero);
        step = 'unwrap';
        const again = await callWithin(CALL_MS, (context) => adapter.unwrap(ref, algorithm, wrapped, context), zero);
        const same = again.length === dataKey.length && timingSafeEqual(again, dataKey);
        again.fill(0);
        if (same)
            findings.ok('key.round-trip', `${algorithm}: ${DATA_KEY_BYTES} random bytes came back as they were`, more);
        else {
            const advice = 'do not use this key; report it, with the backend and its version';
            findings.problem('key.round-trip', `${algorithm}: what came back is not what was wrapped`, { ...more, advice });
        }
        return same;
    }
    catch (error) {
        if (!(error instanceof AdapterError))
            throw error;
        const found = `${algorithm}: it does not ${step} (${error.code}): ${error.message}`;
        if (step === 'wrap' && (error.code === 'KEY_DISABLED' || error.code === 'OPERATION_FORBIDDEN')) {
            const advice = 'right for a key that is only kept for what it wrapped before; unwrapping was not tried';
            findings.warning('key.round-trip', found, { ...more, advice });
        }
        else
            findings.problem('key.round-trip', found, { ...more, advice: 'look at the backend, and check again' });
        return false;
    }
    finally {
        dataKey.fill(0);
    }
}
