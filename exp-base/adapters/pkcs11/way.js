import { CKM, mechanismName } from "./cryptoki.js";
/**
 * How an operation reaches the key.
 *
 * | path | calls |
 * |---|---|
 * | `encrypt` | C_Encrypt and C_Decrypt |
 * | `wrap-key` | C_WrapKey and C_UnwrapKey, with the data key as a session object for the length of the call |
 * | `blocks` | RFC 3394 or RFC 5649 in the host process, with single AES blocks from C_Encrypt and C_Decrypt |
 * | `raw-rsa` | C_Decrypt without padding, and OAEP decoding in the host process |
 */
export const paths = ['encrypt', 'wrap-key', 'blocks', 'raw-rsa'];
/** What has to come out: RFC 3394, RFC 5649, or OAEP with one digest for label and MGF1. */
export const schemes = ['KW', 'KWP', 'SHA-1', 'SHA-256'];
export const directions = ['wrap', 'unwrap'];
const calls = {
    encrypt: 'C_Encrypt/C_Decrypt',
    'wrap-key': 'C_WrapKey/C_UnwrapKey',
    blocks: 'host-run key wrap over',
    'raw-rsa': 'OAEP decoding in the host over',
};
/** For people: `C_WrapKey/C_UnwrapKey CKM_AES_KEY_WRAP (0x2109)`. */
export const wayName = ({ path, mechanism }) => `${calls[path]} ${mechanismName(mechanism)}`;
const keyWrapMechanisms = {
    KW: [CKM.AES_KEY_WRAP, CKM.LUNA_AES_KW, CKM.CLOUDHSM_AES_KEY_WRAP_NO_PAD],
    KWP: [CKM.AES_KEY_WRAP_KWP, CKM.AES_KEY_WRAP_PAD, CKM.LUNA_AES_KWP, CKM.CLOUDHSM_AES_KEY_WRAP_ZERO_PAD],
};
/** A single block of CBC under a zero IV is a block of ECB, for tokens that do not offer ECB. */
const blockMechanisms = [CKM.AES_ECB, CKM.AES_CBC];
/** The ways worth trying for `scheme`, best first. None of them is trusted before it has been checked on the key. */
export function candidateWays(scheme, mechanisms) {
    const ways = (path, numbers) => choose(numbers, mechanisms).map((mechanism) => ({ path, mechanism, scheme }));
    if (scheme === 'KW' || scheme === 'KWP') {
        const numbers = withPinned(keyWrapMechanisms[scheme], mechanisms, blockMechanisms);
        return [...ways('encrypt', numbers), ...ways('wrap-key', numbers), ...ways('blocks', blockMechanisms)];
    }
    const numbers = withPinned([CKM.RSA_PKCS_OAEP], mechanisms, [CKM.RSA_X_509]);
    return [...ways('encrypt', numbers), ...ways('wrap-key', numbers), ...ways('raw-rsa', [CKM.RSA_X_509])];
}
/** The block ciphers that can give the independent computation, whatever is pinned for serving. */
export const referenceWays = (scheme, { offered, forbidden }) => choose(blockMechanisms, { offered, forbidden }).map((mechanism) => ({ path: 'blocks', mechanism, scheme }));
/** A pinned number that is not known here is the vendor's own for the algorithm as a whole. */
const withPinned = (known, { pinned }, primitives) => pinned === undefined || known.includes(pinned) || primitives.includes(pinned) ? known : [...known, pinned];
const choose = (numbers, { offered, pinned, forbidden }) => numbers.filter((number) => {
    if (forbidden.includes(number))
        return false;
    if (pinned !== undefined)
        return number === pinned;
    return offered.length === 0 || offered.includes(number);
});
