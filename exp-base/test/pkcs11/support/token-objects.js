import { PKCS11 } from 'pkcs11js';
import { CKA, CKF, CKK, CKM, CKO, CKU_USER } from "../../../adapters/pkcs11/cryptoki.js";
import { MODULE, PIN } from "./softhsm.js";
/** Logs in, does `work`, and lets go of the module, so that the next call sees the token anew. */
export function onToken(tokenLabel, work, pin = PIN) {
    const module = new PKCS11();
    module.load(MODULE);
    try {
        return work(objectsOf(module, openSession(module, tokenLabel, pin)));
    }
    finally {
        module.C_Finalize();
        module.close();
    }
}
/** SoftHSM 2.6.1 shows no token, or fails, to a process that starts while another logs in. */
function openSession(module, tokenLabel, pin) {
    for (let attempt = 1;; attempt += 1) {
        module.C_Initialize({ flags: CKF.OS_LOCKING_OK });
        try {
            const slot = module.C_GetSlotList(true).find((id) => module.C_GetTokenInfo(id).label.trimEnd() === tokenLabel);
            if (slot === undefined)
                throw new Error(`no token ${tokenLabel}`);
            const session = module.C_OpenSession(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION);
            module.C_Login(session, CKU_USER, pin);
            return session;
        }
        catch (error) {
            if (attempt === 10)
                throw error;
            module.C_Finalize();
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
        }
    }
}
function template(defaults, more) {
    const merged = { ...defaults, ...more };
    return Object.keys(merged).flatMap((name) => {
        const value = merged[name];
        return value === undefined ? [] : [{ type: CKA[name], value }];
    });
}
const usable = { ENCRYPT: true, DECRYPT: true, WRAP: true, UNWRAP: true };
const kept = { TOKEN: true, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: false };
function objectsOf(module, session) {
    const find = (attributes) => {
        module.C_FindObjectsInit(session, template({}, attributes));
        const found = module.C_FindObjects(session, 20);
        module.C_FindObjectsFinal(session);
        return found;
    };
    const objects = {
        import: (key) => {
            if (key.material.kty === 'oct')
                objects.aes(key.name, dates(key), key.material.k);
            else
                objects.rsa(key.name, dates(key), { ...key.material.jwk });
        },
        aes: (label, more = {}, value) => {
            const base = { ...kept, ...usable, CLASS: CKO.SECRET_KEY, KEY_TYPE: CKK.AES, LABEL: label };
            if (value === undefined) {
                module.C_GenerateKey(session, { mechanism: CKM.AES_KEY_GEN }, template({ ...base, VALUE_LEN: 32 }, more));
            }
            else
                module.C_CreateObject(session, template({ ...base, VALUE: Buffer.from(value) }, more));
        },
        rsa: (label, more = {}, jwk) => {
            if (jwk !== undefined) {
                module.C_CreateObject(session, [
                    ...template({ ...kept, LABEL: label, DECRYPT: true }, more),
                    ...privateRsa(jwk),
                ]);
                return;
            }
            module.C_GenerateKeyPair(session, { mechanism: CKM.RSA_PKCS_KEY_PAIR_GEN }, template({ TOKEN: true, LABEL: label, MODULUS_BITS: 2048, PUBLIC_EXPONENT: Buffer.of(1, 0, 1) }, publicOnly(more)), template({ ...kept, LABEL: label, DECRYPT: true, UNWRAP: true }, privateOnly(more)));
        },
        destroy: (label) => {
            for (const object of find({ LABEL: label }))
                module.C_DestroyObject(session, object);
        },
        setLabel: (label, to) => {
            for (const object of find({ LABEL: label })) {
                module.C_SetAttributeValue(session, object, [{ type: CKA.LABEL, value: to }]);
            }
        },
        read: (label, keyClass, type) => {
            const [object] = find({ LABEL: label, CLASS: keyClass });
            if (object === undefined)
                throw new Error(`no object ${label}`);
            const [attribute] = module.C_GetAttributeValue(session, object, [{ type }]);
            return attribute?.value;
        },
    };
    return objects;
}
const DAY_MS = 86_400_000;
const dayOf = (time) => Buffer.from(new Date(time).toISOString().slice(0, 10).replaceAll('-', ''));
/** A token keeps whole days. */
const sameSide = (date) => dayOf(Date.now() + (date.getTime() > Date.now() ? DAY_MS : -DAY_MS));
// SoftHSM 2.6.1 cannot show the dates of a private object.
const dates = ({ notBefore, expires }) => ({
    ...((notBefore ?? expires) && { PRIVATE: false }),
    ...(notBefore && { START_DATE: sameSide(notBefore) }),
    ...(expires && { END_DATE: sameSide(expires) }),
});
const publicOnly = ({ ENCRYPT, WRAP, ID, MODULUS_BITS }) => ({
    ...(ENCRYPT !== undefined && { ENCRYPT }),
    ...(WRAP !== undefined && { WRAP }),
    ...(ID !== undefined && { ID }),
    ...(MODULUS_BITS !== undefined && { MODULUS_BITS }),
});
const privateOnly = (more) => Object.fromEntries(Object.entries(more).filter(([name]) => !['ENCRYPT', 'WRAP', 'MODULUS_BITS'].includes(name)));
/** CKA_PRIVATE_EXPONENT to CKA_COEFFICIENT, which the adapter has no use for. */
function privateRsa(jwk) {
    const bytes = (text) => Buffer.from(text ?? '', 'base64url');
    return [
        { type: CKA.CLASS, value: CKO.PRIVATE_KEY },
        { type: CKA.KEY_TYPE, value: CKK.RSA },
        { type: CKA.MODULUS, value: bytes(jwk.n) },
        { type: CKA.PUBLIC_EXPONENT, value: bytes(jwk.e) },
        ...[jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].map((text, index) => ({
            type: 0x123 + index,
            value: bytes(text),
        })),
    ];
}
