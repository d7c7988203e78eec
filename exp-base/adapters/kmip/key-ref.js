import { AdapterError } from "../contract/index.js";
const SCHEME = 'kmip:';
const MEMBERS = ['id', 'name', 'public-id', 'public-name'];
/**
 * Reads a key's reference: a plain Name, or `kmip:` and `;`-separated members, percent-encoded: `kmip:id=1234`,
 * `kmip:name=payroll`, and for an RSA key whose public half is not linked `kmip:id=1;public-id=2` or `…;public-name=…`.
 *
 * A plain reference is never an identifier: external key ids that a caller chooses can become plain references, and could
 * then name any object of the server. Throws `KEY_UNSUPPORTED` for a reference that cannot be read.
 */
export function parseKeyRef(ref) {
    if (!ref.startsWith(SCHEME))
        return { key: { name: ref } };
    const members = {};
    for (const member of ref.slice(SCHEME.length).split(';')) {
        const [text = '', ...rest] = member.split('=');
        const name = MEMBERS.find((known) => known === text);
        const value = decodeValue(rest.join('='));
        if (name === undefined || members[name] !== undefined || value === undefined)
            throw unreadable(ref);
        members[name] = value;
    }
    const key = selector(members.id, members.name);
    const publicKey = selector(members['public-id'], members['public-name']);
    if (key === undefined || key === 'both' || publicKey === 'both')
        throw unreadable(ref);
    return { key, ...(publicKey && { publicKey }) };
}
function selector(id, name) {
    if (id !== undefined)
        return name === undefined ? { id } : 'both';
    return name === undefined ? undefined : { name };
}
function decodeValue(text) {
    try {
        return decodeURIComponent(text) || undefined;
    }
    catch {
        return undefined;
    }
}
const unreadable = (ref) => new AdapterError('KEY_UNSUPPORTED', `${ref} is not a key's reference: write its Name, or kmip: with id= or name= and for RSA public-id= or public-name=`);
