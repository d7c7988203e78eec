import { AdapterError } from "../contract/index.js";
import { isPkcs11Uri, parsePkcs11Uri, Pkcs11UriError } from "./pkcs11-uri.js";
const ID_PREFIX = 'id:';
/**
 * Reads a key reference: `id:` with a CKA_ID in hexadecimal (colons between the bytes are welcome), a `pkcs11:` URI, or
 * else a CKA_LABEL. Throws `KEY_NOT_FOUND` for one that can name no key of this token.
 */
export function parseKeyRef(ref, token) {
    if (isPkcs11Uri(ref))
        return fromUri(ref, token);
    if (!ref.startsWith(ID_PREFIX))
        return { label: ref };
    const id = ref.slice(ID_PREFIX.length).replaceAll(':', '');
    if (!/^(?:[0-9A-Fa-f]{2})+$/.test(id))
        throw notFound(`${ref}: a CKA_ID is written as an even number of hex digits`);
    return { id: id.toLowerCase() };
}
/** The one spelling of a selector, as hosts know it. */
export const encodeSelector = (selector) => JSON.stringify({ class: selector.class, label: selector.label, id: selector.id });
/** Names an AES session key of this value, which the host makes when it first meets the name. */
export const encodeSiblingSelector = (value) => JSON.stringify({ sibling: Buffer.from(value).toString('hex') });
export const decodeSelector = (text) => JSON.parse(text);
const notFound = (message) => new AdapterError('KEY_NOT_FOUND', message);
function fromUri(ref, token) {
    const uri = readUri(ref);
    if (uri.pinSource !== undefined)
        throw notFound(`${ref}: pin-source belongs to the backend, not to a key`);
    const elsewhere = describesAnother(uri, token);
    if (elsewhere !== undefined)
        throw notFound(`${ref}: its ${elsewhere} is not that of the token in use`);
    if (uri.type !== undefined && uri.type !== 'private' && uri.type !== 'secret-key') {
        throw notFound(`${ref}: a key-encryption key is of type secret-key or private`);
    }
    if (uri.object === undefined && uri.id === undefined)
        throw notFound(`${ref}: it needs an object or an id`);
    return {
        ...(uri.type && { class: uri.type === 'private' ? 'private' : 'secret' }),
        ...(uri.object !== undefined && { label: uri.object }),
        ...(uri.id !== undefined && { id: Buffer.from(uri.id).toString('hex') }),
    };
}
function readUri(ref) {
    try {
        return parsePkcs11Uri(ref);
    }
    catch (error) {
        // The reference is not repeated: it may hold a PIN.
        if (error instanceof Pkcs11UriError)
            throw notFound(`a key's pkcs11: URI cannot be used: ${error.message}`);
        throw error;
    }
}
/** The first attribute of the URI that contradicts the open token. */
function describesAnother(uri, token) {
    const base = token.module.split('/').at(-1) ?? '';
    const pairs = [
        ['token', uri.token, [token.label]],
        ['serial', uri.serial, [token.serial]],
        ['manufacturer', uri.manufacturer, [token.manufacturer]],
        ['model', uri.model, [token.model]],
        ['slot-id', uri.slotId, [token.slot]],
        ['module-path', uri.modulePath, [token.module]],
        ['module-name', uri.moduleName, [base, base.replace(/\.[^.]*$/, ''), base.replace(/^lib|\.[^.]*$/g, '')]],
    ];
    return pairs.find(([, wanted, actual]) => wanted !== undefined && !actual.includes(wanted))?.[0];
}
