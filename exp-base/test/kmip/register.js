import { createPrivateKey, createPublicKey } from 'node:crypto';
import { attribute, versionOneAttributes } from "../../adapters/kmip/protocol/attributes.js";
import { algorithm, keyFormat, objectType, state, tag } from "../../adapters/kmip/protocol/numbers.js";
import { activate, getAttributes } from "../../adapters/kmip/protocol/objects.js";
import { isVersion2 } from "../../adapters/kmip/protocol/version.js";
import { byteString, child, enumeration, integer, structure, textString, } from "../../adapters/ttlv-codec/src/index.js";
const REGISTER = 3;
const REVOKE = 0x13;
const REVOCATION_REASON = 0x420081;
const REVOCATION_REASON_CODE = 0x420082;
const ENCRYPT_DECRYPT = 0x0c;
const anySignal = () => AbortSignal.timeout(30_000);
/** Puts a key of the test's own on a server. The adapter itself never does that. */
const register = (material, { name, usageMask = ENCRYPT_DECRYPT, attributes = [] }) => ({
    code: REGISTER,
    repeatable: false,
    payload: (version) => {
        const values = [
            ...(name === undefined ? [] : [attribute.name(name)]),
            attribute.algorithm(material.algorithm),
            attribute.length(material.bits),
            attribute.usageMask(usageMask),
            ...attributes,
        ];
        return [
            enumeration(tag.ObjectType, material.type),
            isVersion2(version)
                ? structure(tag.Attributes, values)
                : structure(tag.TemplateAttribute, versionOneAttributes(values)),
            structure(material.tag, [
                structure(tag.KeyBlock, [
                    enumeration(tag.KeyFormatType, material.format),
                    structure(tag.KeyValue, [byteString(tag.KeyMaterial, material.bytes)]),
                    enumeration(tag.CryptographicAlgorithm, material.algorithm),
                    integer(tag.CryptographicLength, material.bits),
                ]),
            ]),
        ];
    },
    read: (payload) => child(payload, tag.UniqueIdentifier, 'TextString')?.value ?? '',
});
const symmetric = (k) => ({
    type: objectType.SymmetricKey,
    tag: tag.SymmetricKey,
    algorithm: algorithm.AES,
    bits: 8 * k.length,
    format: keyFormat.Raw,
    bytes: k,
});
export const registerAes = (cluster, k, options) => cluster.call(register(symmetric(k), options), anySignal());
/** Both halves under one name, as `keys create` makes them. */
export async function registerRsa(cluster, jwk, options) {
    const bits = 8 * Buffer.from(jwk.n, 'base64url').length;
    const key = createPrivateKey({ key: { ...jwk }, format: 'jwk' });
    const publicKey = createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' });
    const privateKeyId = await cluster.call(register({
        type: objectType.PrivateKey,
        tag: tag.PrivateKey,
        algorithm: algorithm.RSA,
        bits,
        format: keyFormat.PKCS8,
        bytes: key.export({ format: 'der', type: 'pkcs8' }),
    }, { usageMask: 0x08, ...options }), anySignal());
    const publicKeyId = await cluster.call(register({
        type: objectType.PublicKey,
        tag: tag.PublicKey,
        algorithm: algorithm.RSA,
        bits,
        format: keyFormat.PKCS1,
        bytes: publicKey.export({ format: 'der', type: 'pkcs1' }),
    }, { usageMask: 0x04, ...options }), anySignal());
    return { privateKeyId, publicKeyId };
}
export async function activateIfNeeded(cluster, id) {
    const { state: current } = await cluster.call(getAttributes(id, ['State']), anySignal());
    if (current === state.PreActive)
        await cluster.call(activate(id), anySignal());
}
/** Reason 1 is Unspecified, which deactivates; 2 is Key Compromise. */
export const revoke = (id, reason) => ({
    code: REVOKE,
    repeatable: false,
    payload: () => [
        textString(tag.UniqueIdentifier, id),
        structure(REVOCATION_REASON, [enumeration(REVOCATION_REASON_CODE, reason)]),
        // PyKMIP wants the date for a compromise.
        ...(reason === 2
            ? [{ tag: 0x420021, type: 'DateTime', value: BigInt(Math.floor(Date.now() / 1000)) }]
            : []),
    ],
    read: () => undefined,
});
/**
 * Puts a key of the common suites on a server. A disabled one is revoked, or, on PyKMIP, which lets no key be used but an
 * active one, was never activated. Gives the identifiers of what it made.
 */
export async function registerKey(cluster, name, { material, disabled, notBefore }, disabling) {
    const registered = { name, ...(notBefore && { attributes: [attribute.activationDate(notBefore)] }) };
    const ids = material.kty === 'oct'
        ? [await registerAes(cluster, material.k, registered)]
        : Object.values(await registerRsa(cluster, material.jwk, registered));
    for (const id of ids) {
        if (disabled === true && disabling === 'revoke')
            await cluster.call(revoke(id, 2), anySignal());
        else if (disabled !== true && notBefore === undefined)
            await activateIfNeeded(cluster, id);
    }
    return ids;
}
