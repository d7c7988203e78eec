import { byteString, child, decode, encode, enumeration, integer, structure, textString, } from "../../ttlv-codec/src/index.js";
import { CREDENTIAL_USERNAME_PASSWORD, resultStatus, tag } from "./numbers.js";
import { KmipRefusal, ReplyMismatch } from "./operation.js";
import { majorAndMinor } from "./version.js";
/**
 * A request message (KMIP 1.4 §6 and §7). Fields that some servers refuse and none needs (correlation values, time stamp,
 * batch options) are left out. The caller zeroes the bytes: they may hold a data key, and the password.
 *
 * @param firstId the first item's unique batch item id; the others count on from it
 */
export function encodeRequest(operations, version, firstId, credentials) {
    return encode(structure(tag.RequestMessage, [
        structure(tag.RequestHeader, [
            versionItem(version),
            ...(credentials === undefined ? [] : [authentication(credentials)]),
            integer(tag.BatchCount, operations.length),
        ]),
        ...operations.map((operation, index) => structure(tag.BatchItem, [
            enumeration(tag.Operation, operation.code),
            byteString(tag.UniqueBatchItemId, batchId(firstId + index)),
            structure(tag.RequestPayload, operation.payload(version)),
        ])),
    ]));
}
export function versionItem(version) {
    const [major, minor] = majorAndMinor(version);
    return structure(tag.ProtocolVersion, [
        integer(tag.ProtocolVersionMajor, major),
        integer(tag.ProtocolVersionMinor, minor),
    ]);
}
/** KMIP 1.4 §6.6: a password has to stand in every request. */
function authentication({ username, password }) {
    const bytes = password.reveal();
    try {
        return structure(tag.Authentication, [
            structure(tag.Credential, [
                enumeration(tag.CredentialType, CREDENTIAL_USERNAME_PASSWORD),
                structure(tag.CredentialValue, [
                    textString(tag.Username, username),
                    textString(tag.Password, new TextDecoder().decode(bytes)),
                ]),
            ]),
        ]);
    }
    finally {
        bytes.fill(0);
    }
}
function batchId(id) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(id));
    return bytes;
}
/**
 * What a response message says to each operation of its request. Throws a TtlvError or {@link ReplyMismatch} if it is not
 * an answer to it. `frame` is the caller's to zero.
 */
export function readResponse(frame, operations, version, firstId) {
    const message = decode(frame);
    if (message.type !== 'Structure' || message.tag !== tag.ResponseMessage) {
        throw new ReplyMismatch('not a response message');
    }
    const items = message.value.filter((item) => item.tag === tag.BatchItem && item.type === 'Structure');
    const header = child(message, tag.ResponseHeader, 'Structure');
    if (header === undefined || child(header, tag.BatchCount, 'Integer')?.value !== items.length) {
        throw new ReplyMismatch('the batch count is not the number of batch items');
    }
    const whole = refusalOfAll(items, operations);
    if (whole !== undefined)
        return operations.map(({ code }) => refused(code, whole));
    if (items.length !== operations.length)
        throw new ReplyMismatch('not as many answers as questions');
    return operations.map((operation, index) => {
        const item = items[index];
        if (item === undefined)
            throw new ReplyMismatch('an answer is missing');
        assertAnswers(item, operation, firstId + index, operations.length > 1);
        const status = child(item, tag.ResultStatus, 'Enumeration')?.value;
        if (status === resultStatus.OperationFailed)
            return refused(operation.code, reasonOf(item));
        const payload = child(item, tag.ResponsePayload, 'Structure') ?? structure(tag.ResponsePayload, []);
        if (status !== resultStatus.Success)
            throw new ReplyMismatch('neither success nor failure');
        return { ok: true, value: operation.read(payload, version) };
    });
}
const refused = (operation, reason) => ({
    ok: false,
    refusal: new KmipRefusal(operation, reason),
});
const reasonOf = (item) => {
    const reason = child(item, tag.ResultReason, 'Enumeration')?.value;
    if (reason === undefined)
        throw new ReplyMismatch('a failure without a reason');
    return reason;
};
/** A server that cannot read a message answers with one failure that names no operation: it is meant for all of them. */
function refusalOfAll(items, operations) {
    const [only] = items;
    if (items.length !== 1 || only === undefined || operations.length === 0)
        return undefined;
    if (child(only, tag.Operation, 'Enumeration') !== undefined)
        return undefined;
    return child(only, tag.ResultStatus, 'Enumeration')?.value === resultStatus.OperationFailed
        ? reasonOf(only)
        : undefined;
}
function assertAnswers(item, { code }, id, idNeeded) {
    if (child(item, tag.Operation, 'Enumeration')?.value !== code)
        throw new ReplyMismatch('an answer to something else');
    const actual = child(item, tag.UniqueBatchItemId, 'ByteString')?.value;
    if (actual === undefined && !idNeeded)
        return;
    if (actual === undefined || Buffer.compare(actual, batchId(id)) !== 0) {
        throw new ReplyMismatch('an answer to another request');
    }
}
