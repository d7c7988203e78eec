import { CKA, CKK, CKO } from "../cryptoki.js";
import { UNREADABLE_DATE } from "../host-protocol.js";
import { ckrOf } from "./ckr.js";
/** The first `limit` objects that match. */
export function findObjects({ module, session }, template, limit) {
    module.C_FindObjectsInit(session, template);
    try {
        const found = [];
        while (found.length < limit) {
            const more = module.C_FindObjects(session, limit - found.length);
            if (more.length === 0)
                break;
            found.push(...more);
        }
        return found;
    }
    finally {
        module.C_FindObjectsFinal(session);
    }
}
/** One attribute; `undefined` where the token does not have it or does not show it. Errors of the session are thrown. */
function read({ module, session }, object, type) {
    try {
        const [attribute] = module.C_GetAttributeValue(session, object, [{ type }]);
        return Buffer.isBuffer(attribute?.value) ? attribute.value : undefined;
    }
    catch (error) {
        if (withoutValue.has(ckrOf(error) ?? -1))
            return undefined;
        throw error;
    }
}
/** ATTRIBUTE_SENSITIVE, ATTRIBUTE_TYPE_INVALID, ATTRIBUTE_VALUE_INVALID, and what tokens say in their stead. */
const noSuchAttribute = new Set([0x012, 0x013]);
const withoutValue = new Set([0x005, 0x006, 0x011, ...noSuchAttribute]);
const text = (value) => value?.toString('utf8') ?? '';
const flag = (value) => (value?.length === 1 ? value[0] !== 0 : undefined);
const ulong = (value) => value?.length === 8 ? Number(value.readBigUInt64LE(0)) : value?.length === 4 ? value.readUInt32LE(0) : undefined;
/**
 * YYYYMMDD; `undefined` for an empty date, which some tokens write as zeros or blanks; or `unreadable`. SoftHSM 2.6.1
 * stores the date of a CKA_PRIVATE object and then answers GENERAL_ERROR whenever it is read, so that error says "set".
 */
function readDate({ module, session }, object, type) {
    try {
        const [attribute] = module.C_GetAttributeValue(session, object, [{ type }]);
        const digits = Buffer.isBuffer(attribute?.value) ? text(attribute.value) : '';
        return /^[0-9]{8}$/.test(digits) && digits !== '00000000' ? digits : undefined;
    }
    catch (error) {
        // pkcs11js complains, without a code, of a date that is empty.
        const ckr = ckrOf(error);
        if (ckr === undefined || noSuchAttribute.has(ckr))
            return undefined;
        if (withoutValue.has(ckr))
            return UNREADABLE_DATE;
        throw error;
    }
}
/** An unsigned big-endian integer without leading zeros; empty and zero become `undefined`. */
function integer(value) {
    const start = value?.findIndex((byte) => byte !== 0) ?? -1;
    return start === -1 ? undefined : value?.subarray(start);
}
/** Reads what can be known of a key object without its value. */
export function readKeyFacts(token, object, keyClass) {
    const get = (type) => read(token, object, type);
    const id = get(CKA.ID) ?? Buffer.alloc(0);
    const label = text(get(CKA.LABEL));
    const keyType = ulong(get(CKA.KEY_TYPE)) ?? -1;
    const facts = {
        class: keyClass,
        keyType,
        label,
        id: id.toString('hex'),
        valueLen: keyClass === 'secret' ? ulong(get(CKA.VALUE_LEN)) : undefined,
        encrypt: flag(get(CKA.ENCRYPT)),
        decrypt: flag(get(CKA.DECRYPT)),
        wrap: flag(get(CKA.WRAP)),
        unwrap: flag(get(CKA.UNWRAP)),
        sensitive: flag(get(CKA.SENSITIVE)),
        extractable: flag(get(CKA.EXTRACTABLE)),
        alwaysAuthenticate: flag(get(CKA.ALWAYS_AUTHENTICATE)),
        startDate: readDate(token, object, CKA.START_DATE),
        endDate: readDate(token, object, CKA.END_DATE),
        ...(keyClass === 'private' && keyType === CKK.RSA && publicFacts(token, object, id, label)),
    };
    return withoutUndefined(facts);
}
/** n and e from the private object where it shows them, the rest from the public object of the same CKA_ID, or label. */
function publicFacts(token, object, id, label) {
    const like = id.length > 0 ? { type: CKA.ID, value: id } : { type: CKA.LABEL, value: label };
    const candidates = findObjects(token, [{ type: CKA.CLASS, value: CKO.PUBLIC_KEY }, like], 8);
    const n = integer(read(token, object, CKA.MODULUS));
    const half = candidates.find((candidate) => {
        const modulus = integer(read(token, candidate, CKA.MODULUS));
        return modulus !== undefined && (n === undefined ? candidates.length === 1 : Buffer.compare(modulus, n) === 0);
    });
    const fromHalf = (type) => half && integer(read(token, half, type));
    return {
        n: n ?? fromHalf(CKA.MODULUS),
        e: integer(read(token, object, CKA.PUBLIC_EXPONENT)) ?? fromHalf(CKA.PUBLIC_EXPONENT),
        publicUse: half && [CKA.ENCRYPT, CKA.WRAP].some((type) => flag(read(token, half, type)) !== false),
    };
}
function withoutUndefined(facts) {
    return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
