/** Why a text is not an acceptable `pkcs11:` URI; the message never repeats the value of an attribute. */
export class Pkcs11UriError extends Error {
    name = 'Pkcs11UriError';
}
export const isPkcs11Uri = (text) => /^pkcs11:/i.test(text);
// RFC 7512 §2.3: what may stand unescaped in a value of the path, and in one of the query.
const PATH_VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})*$/;
const QUERY_VALUE = /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})*$/;
const NAME = /^[A-Za-z0-9_-]+$/;
const types = ['public', 'private', 'cert', 'secret-key', 'data'];
/**
 * Reads a `pkcs11:` URI.
 *
 * An attribute that appears twice, a value with a character that had to be escaped, and text that is not UTF-8 are
 * errors. Attributes that the RFC defines but that say nothing of a key's place (`library-*`, `slot-manufacturer`,
 * `slot-description`) and vendors' own are refused rather than ignored: a URI that names more than is looked at would
 * match more than it says. `pin-value` is refused because a secret does not belong into a URI (§7).
 */
export function parsePkcs11Uri(text) {
    if (!isPkcs11Uri(text))
        throw new Pkcs11UriError('it does not start with pkcs11:');
    const [pathText = '', ...queries] = text.slice('pkcs11:'.length).split('?');
    const path = attributes(pathText, ';', PATH_VALUE);
    const query = attributes(queries.join('?'), '&', QUERY_VALUE);
    const uri = {};
    for (const [name, value] of path)
        readPathAttribute(uri, name, value);
    for (const [name, value] of query)
        readQueryAttribute(uri, name, value);
    return uri;
}
function readPathAttribute(uri, name, value) {
    switch (name) {
        case 'token':
        case 'manufacturer':
        case 'serial':
        case 'model':
        case 'object':
            uri[name] = decodeText(name, value);
            return;
        case 'id':
            uri.id = decodeBytes(value);
            return;
        case 'slot-id':
            if (!/^[0-9]{1,20}$/.test(value))
                throw new Pkcs11UriError('slot-id is not a decimal number');
            uri.slotId = BigInt(value);
            return;
        case 'type': {
            const type = types.find((known) => known === value);
            if (type === undefined)
                throw new Pkcs11UriError(`type is none of ${types.join(', ')}`);
            uri.type = type;
            return;
        }
        default:
            throw new Pkcs11UriError(`the attribute ${name} is not supported in the path`);
    }
}
function readQueryAttribute(uri, name, value) {
    switch (name) {
        case 'module-path':
            uri.modulePath = decodeText(name, value);
            return;
        case 'module-name':
            uri.moduleName = decodeText(name, value);
            return;
        case 'pin-source':
            uri.pinSource = decodeText(name, value);
            return;
        case 'pin-value':
            throw new Pkcs11UriError('pin-value is refused: keep the PIN out of the URI, with pin-source or the pin setting');
        default:
            throw new Pkcs11UriError(`the attribute ${name} is not supported in the query`);
    }
}
function attributes(text, separator, allowed) {
    const found = new Map();
    if (text === '')
        return found;
    for (const attribute of text.split(separator)) {
        const equals = attribute.indexOf('=');
        const name = attribute.slice(0, Math.max(0, equals));
        const value = attribute.slice(equals + 1);
        if (equals < 1 || !NAME.test(name))
            throw new Pkcs11UriError('an attribute is not of the form name=value');
        if (!allowed.test(value))
            throw new Pkcs11UriError(`${name} holds a character that must be percent-encoded`);
        if (found.has(name))
            throw new Pkcs11UriError(`${name} appears more than once`);
        found.set(name, value);
    }
    return found;
}
function decodeBytes(value) {
    const bytes = [];
    for (let at = 0; at < value.length; at++) {
        if (value[at] === '%') {
            bytes.push(Number.parseInt(value.slice(at + 1, at + 3), 16));
            at += 2;
        }
        else
            bytes.push(value.charCodeAt(at));
    }
    return Uint8Array.from(bytes);
}
function decodeText(name, value) {
    try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(decodeBytes(value));
    }
    catch {
        throw new Pkcs11UriError(`${name} is not UTF-8`);
    }
}
