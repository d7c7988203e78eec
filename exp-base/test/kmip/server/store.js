import { createPublicKey } from 'node:crypto';
import { keyFormat, objectType, state, tag } from "../../../adapters/kmip/protocol/numbers.js";
import { child, dateTime, enumeration, integer, structure, textString, } from "../../../adapters/ttlv-codec/src/index.js";
/** The objects of a test server, in memory. */
export class ObjectStore {
    #objects = new Map();
    #next = 1;
    add(object) {
        const id = `object-${this.#next++}`;
        const stored = {
            ...object,
            id,
            state: state.PreActive,
            attributes: [...object.attributes, dateTime(tag.InitialDate, BigInt(Math.floor(Date.now() / 1000)))],
        };
        this.#objects.set(id, stored);
        return stored;
    }
    find(id) {
        return this.#objects.get(id);
    }
    all() {
        return [...this.#objects.values()];
    }
    remove(id) {
        this.#objects.delete(id);
    }
}
/** As of now: an Activation Date that has come activates, a Deactivation Date that has come deactivates (KMIP 1.4 §3.22). */
export function stateOf(object) {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const date = (wanted) => {
        const found = object.attributes.find((item) => item.tag === wanted);
        return found?.type === 'DateTime' ? found.value : undefined;
    };
    const [activation, deactivation] = [date(tag.ActivationDate), date(tag.DeactivationDate)];
    if (object.state === state.PreActive && activation !== undefined && activation <= now)
        object.state = state.Active;
    if (object.state === state.Active && deactivation !== undefined && deactivation <= now) {
        object.state = state.Deactivated;
    }
    return object.state;
}
export const attributesOf = (object) => [
    textString(tag.UniqueIdentifier, object.id),
    enumeration(tag.ObjectType, object.type),
    enumeration(tag.State, stateOf(object)),
    ...object.attributes,
];
export const numberAttribute = (object, wanted) => {
    const found = object.attributes.find((item) => item.tag === wanted);
    return found?.type === 'Integer' || found?.type === 'Enumeration' ? found.value : undefined;
};
export const linkTo = (type, id) => structure(tag.Link, [enumeration(tag.LinkType, type), textString(tag.LinkedObjectIdentifier, id)]);
const objectTags = new Map([
    [objectType.SymmetricKey, tag.SymmetricKey],
    [objectType.PublicKey, tag.PublicKey],
    [objectType.PrivateKey, tag.PrivateKey],
]);
/** The object as Get hands it out. */
export function managedObject(object, publicFormat) {
    const { format, material } = object.type === objectType.PublicKey
        ? publicKeyIn(publicFormat, object)
        : { format: object.format, material: bytesItem(object.material) };
    return structure(objectTags.get(object.type) ?? 0, [
        structure(tag.KeyBlock, [
            enumeration(tag.KeyFormatType, format),
            structure(tag.KeyValue, [material]),
            enumeration(tag.CryptographicAlgorithm, numberAttribute(object, tag.CryptographicAlgorithm) ?? 0),
            integer(tag.CryptographicLength, numberAttribute(object, tag.CryptographicLength) ?? 0),
        ]),
    ]);
}
function publicKeyIn(wanted, object) {
    const key = publicKeyOf(object);
    if (wanted !== 'transparent') {
        const type = wanted === 'PKCS1' ? 'pkcs1' : 'spki';
        return { format: keyFormat[wanted], material: bytesItem(key.export({ format: 'der', type })) };
    }
    const { n = '', e = '' } = key.export({ format: 'jwk' });
    const number = (text) => BigInt(`0x${Buffer.from(text, 'base64url').toString('hex')}`);
    return {
        format: keyFormat.TransparentRsaPublic,
        material: structure(tag.KeyMaterial, [
            { tag: tag.Modulus, type: 'BigInteger', value: number(n) },
            { tag: tag.PublicExponent, type: 'BigInteger', value: number(e) },
        ]),
    };
}
/** By way of a JWK: Node.js 24 cannot encode as PKCS#1 what it has read as PKCS#1. */
function publicKeyOf({ material, format }) {
    const type = format === keyFormat.PKCS1 ? 'pkcs1' : 'spki';
    const key = createPublicKey({ key: Buffer.from(material), format: 'der', type });
    return createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' });
}
const bytesItem = (value) => ({ tag: tag.KeyMaterial, type: 'ByteString', value });
export const nameOf = (item) => item.type === 'Structure' ? (child(item, tag.NameValue, 'TextString')?.value ?? '') : '';
