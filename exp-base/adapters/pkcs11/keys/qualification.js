import { randomBytes } from 'node:crypto';
import { AdapterError } from "../../contract/index.js";
import { TokenError } from "../token-error.js";
import { candidateWays, referenceWays, wayName, } from "../way.js";
import { encodeSiblingSelector } from "../key-selector.js";
import { damaged, equal, lengths, localAnswers, oaepAnswers, samples } from "./known-answers.js";
import { allows } from "./token-key.js";
const schemeOf = {
    A256KW: 'KW',
    A256KWP: 'KWP',
    'RSA-OAEP': 'SHA-1',
    'RSA-OAEP-256': 'SHA-256',
};
const HASH_BYTES = { 'SHA-1': 20, 'SHA-256': 32 };
/** A key that is known to this process, to check mechanisms with. It protects nothing. */
const siblingKey = randomBytes(32);
const siblingSelector = encodeSiblingSelector(siblingKey);
/**
 * Finds the first way in which the token does `algorithm` right on `key`. Rejects only if the token cannot be asked.
 */
export async function qualify(key, algorithm, mechanisms, crypt) {
    const scheme = schemeOf[algorithm];
    const rejected = [];
    let doubtful = false;
    const reject = (way, error) => {
        if (!(error instanceof WrongAnswer) && !blamesWay(error))
            throw error;
        doubtful ||= error instanceof TokenError && error.blame === 'module';
        rejected.push({ way, reason: error instanceof Error ? error.message : 'unknown' });
    };
    const { evidence, answers } = await knownAnswers(key, scheme, mechanisms, crypt, reject);
    for (const way of answers.length === 0 ? [] : candidateWays(scheme, mechanisms)) {
        try {
            if (evidence === 'sibling key') {
                await check(crypt, siblingSelector, way, ['wrap', 'unwrap'], answers);
                await checkAccess(crypt, key, way);
            }
            else
                await check(crypt, key.selector, way, directionsOf(key, scheme), answers);
            return { key: key.ref, algorithm, way, evidence, rejected, doubtful };
        }
        catch (error) {
            reject(way, error);
        }
    }
    return { key: key.ref, algorithm, rejected, doubtful };
}
/** For the operator: what was rejected and why, in one line. */
export const rejections = ({ rejected }) => rejected.map(({ way, reason }) => `${wayName(way)}: ${reason}`).join('; ');
class WrongAnswer extends Error {
}
/** The token is well and will give the same answer again. */
const blamesWay = (error) => error instanceof TokenError
    ? error.blame !== 'token' && error.code !== 'BACKEND_BUSY'
    : error instanceof AdapterError && error.code === 'ALGORITHM_UNSUPPORTED';
const directionsOf = ({ facts }, scheme) => scheme === 'KW' || scheme === 'KWP'
    ? ['wrap', 'unwrap'].filter((direction) => allows(facts, direction))
    : ['unwrap'];
async function knownAnswers(key, scheme, mechanisms, crypt, reject) {
    if (scheme !== 'KW' && scheme !== 'KWP') {
        if (key.description.kty !== 'RSA')
            return { evidence: 'same key', answers: [] };
        return { evidence: 'same key', answers: oaepAnswers(key.description, scheme, HASH_BYTES[scheme]) };
    }
    if (key.facts.encrypt !== false) {
        for (const way of referenceWays(scheme, mechanisms)) {
            try {
                return { evidence: 'same key', answers: await sameKeyAnswers(crypt, key.selector, way, scheme) };
            }
            catch (error) {
                reject(way, error);
            }
        }
    }
    return { evidence: 'sibling key', answers: await localAnswers(siblingKey, scheme) };
}
/** RFC 3394 or RFC 5649 over single blocks of the key itself. */
async function sameKeyAnswers(crypt, selector, way, mode) {
    return Promise.all(samples(lengths[mode]).map(async (plaintext) => ({
        plaintext,
        wrapped: await crypt(selector, way, 'wrap', plaintext),
    })));
}
async function check(crypt, selector, way, directions, answers) {
    // OAEP is randomised: its wrapping is done in this process, and only what the token does is checked.
    const deterministic = way.scheme === 'KW' || way.scheme === 'KWP';
    for (const { plaintext, wrapped } of answers) {
        if (deterministic && directions.includes('wrap')) {
            const result = await crypt(selector, way, 'wrap', plaintext);
            if (!equal(result, wrapped))
                throw new WrongAnswer(`wrong result for ${plaintext.length} bytes`);
        }
        if (directions.includes('unwrap')) {
            const result = await crypt(selector, way, 'unwrap', wrapped);
            if (!equal(result, plaintext))
                throw new WrongAnswer(`${plaintext.length} bytes came back as ${result.length}`);
            result.fill(0);
        }
    }
    const [first] = answers;
    if (first === undefined || !directions.includes('unwrap'))
        return;
    if (await opens(crypt, selector, way, damaged(first.wrapped)))
        throw new WrongAnswer('it opens a damaged value');
}
/** The way is right beside the key; this finds out whether the key itself lets itself be used so. */
async function checkAccess(crypt, key, way) {
    const [plaintext = new Uint8Array()] = samples([32]);
    if (!allows(key.facts, 'wrap')) {
        await opens(crypt, key.selector, way, samples([40])[0] ?? new Uint8Array());
        return;
    }
    const wrapped = await crypt(key.selector, way, 'wrap', plaintext);
    if (!allows(key.facts, 'unwrap'))
        return;
    const again = await crypt(key.selector, way, 'unwrap', wrapped);
    if (!equal(again, plaintext))
        throw new WrongAnswer('32 bytes did not come back');
}
async function opens(crypt, selector, way, wrapped) {
    try {
        const result = await crypt(selector, way, 'unwrap', wrapped);
        result.fill(0);
        return true;
    }
    catch (error) {
        if (error instanceof TokenError && error.code === 'CIPHERTEXT_INVALID')
            return false;
        throw error;
    }
}
