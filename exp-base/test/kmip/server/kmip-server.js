import { createServer } from 'node:tls';
import { operation, resultReason, resultStatus, tag } from "../../../adapters/kmip/protocol/numbers.js";
import { versionItem } from "../../../adapters/kmip/protocol/message.js";
import { byteString, child, decode, encode, enumeration, FrameReader, integer, structure, textString, } from "../../../adapters/ttlv-codec/src/index.js";
import { Refused } from "./behaviour.js";
import { sendWith } from "./faults.js";
import { Operations } from "./operations.js";
/** A KMIP server in this process, for what no real one does on command. */
export class KmipTestServer {
    operations;
    /** Applied to every message that it fits, until it is taken away. */
    fault;
    /** Messages that came, by the operation of their first item. */
    received = [];
    /** TLS connections that were ever accepted. */
    accepted = 0;
    /** Closes a connection on which nothing came for so long. */
    idleMs;
    #clientCa;
    #sockets = new Set();
    #identity;
    #server;
    #port;
    /** @param port to listen on; 0 lets the system choose */
    constructor(behaviour, identity, clientCa, port = 0) {
        this.#port = port;
        this.operations = new Operations(behaviour);
        this.#identity = identity;
        this.#clientCa = clientCa;
    }
    get port() {
        return this.#port;
    }
    /** Listens on loopback; after {@link stop} on the same port again, with another certificate if one is given. */
    async start(identity = this.#identity) {
        this.#identity = identity;
        const server = createServer({
            cert: identity.certificate,
            key: identity.key,
            ca: this.#clientCa,
            requestCert: true,
            rejectUnauthorized: true,
        }, (socket) => this.#serve(socket));
        this.#server = server;
        await new Promise((resolve, reject) => {
            server.once('error', reject);
            server.listen(this.#port, '127.0.0.1', resolve);
        });
        this.#port = server.address().port;
    }
    /** Ends every connection and stops listening. */
    async stop() {
        const server = this.#server;
        this.#server = undefined;
        this.dropConnections();
        if (server !== undefined)
            await new Promise((resolve) => server.close(resolve));
    }
    dropConnections() {
        for (const socket of this.#sockets)
            socket.destroy();
    }
    get connections() {
        return this.#sockets.size;
    }
    #serve(socket) {
        // A handshake that ends after stop() would keep the server from closing.
        if (this.#server === undefined) {
            socket.destroy();
            return;
        }
        this.accepted += 1;
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
        socket.on('error', () => socket.destroy());
        if (this.idleMs !== undefined)
            socket.setTimeout(this.idleMs, () => socket.end());
        const reader = new FrameReader((frame) => this.#reply(socket, frame));
        socket.on('data', (chunk) => reader.push(chunk));
    }
    #reply(socket, frame) {
        const message = decode(frame);
        if (message.type !== 'Structure')
            return;
        const items = message.value.filter((item) => item.tag === tag.BatchItem && item.type === 'Structure');
        const codes = items.map((item) => child(item, tag.Operation, 'Enumeration')?.value ?? 0);
        this.received.push(codes[0] ?? 0);
        const fault = this.fault && (this.fault.operation === undefined || codes.includes(this.fault.operation))
            ? this.fault
            : undefined;
        void this.#response(message, items, fault).then((reply) => sendWith(fault?.kind, socket, encode(reply)));
    }
    async #response(message, items, fault) {
        const header = child(message, tag.RequestHeader, 'Structure') ?? structure(0x420077, []);
        const version = versionOf(header);
        const { versions, credentials } = this.operations.behaviour;
        const known = versions.find((candidate) => candidate === version);
        if (known === undefined)
            return response('1.0', [failure(undefined, resultReason.InvalidMessage)]);
        if (credentials !== undefined && !authenticates(header, credentials)) {
            return response(known, [failure(undefined, resultReason.AuthenticationNotSuccessful)]);
        }
        const answers = await Promise.all(items.map((item) => this.#answer(item, known, fault)));
        const shown = fault?.kind === 'replies reordered' ? answers.reverse() : answers;
        return response(known, shown, shown.length + (fault?.kind === 'wrong batch count' ? 1 : 0));
    }
    async #answer(item, version, fault) {
        const code = child(item, tag.Operation, 'Enumeration')?.value ?? 0;
        const id = child(item, tag.UniqueBatchItemId, 'ByteString')?.value;
        const payload = child(item, tag.RequestPayload, 'Structure') ?? structure(tag.RequestPayload, []);
        const echoed = [
            enumeration(tag.Operation, fault?.kind === 'wrong operation' ? operation.Activate : code),
            ...(id === undefined
                ? []
                : [byteString(tag.UniqueBatchItemId, fault?.kind === 'wrong batch id' ? other(id) : id)]),
        ];
        const failed = (reason) => structure(tag.BatchItem, [...echoed, ...failureItems(reason)]);
        if (fault?.kind === 'pending')
            return structure(tag.BatchItem, [...echoed, enumeration(tag.ResultStatus, 2)]);
        if (fault?.kind === 'failure without reason') {
            return structure(tag.BatchItem, [...echoed, enumeration(tag.ResultStatus, resultStatus.OperationFailed)]);
        }
        if (fault?.kind === 'refused: general failure')
            return failed(resultReason.GeneralFailure);
        if (fault?.kind === 'refused: limit exceeded')
            return failed(resultReason.ServerLimitExceeded);
        try {
            const values = await this.operations.answer(code, payload, version);
            // What Locate found cannot be seen to be wrong.
            const lies = fault?.kind === 'wrong object' && code !== operation.Locate;
            const shown = lies ? values.map(ofAnotherObject) : values;
            return structure(tag.BatchItem, [
                ...echoed,
                enumeration(tag.ResultStatus, resultStatus.Success),
                structure(tag.ResponsePayload, shown),
            ]);
        }
        catch (error) {
            if (error instanceof Refused)
                return failed(error.reason);
            throw error;
        }
    }
}
const other = (id) => Uint8Array.from(id, (byte) => byte ^ 0xff);
const ofAnotherObject = (item) => item.tag === tag.UniqueIdentifier ? textString(tag.UniqueIdentifier, 'another-object') : item;
function versionOf(header) {
    const version = child(header, tag.ProtocolVersion, 'Structure');
    const number = (wanted) => version && child(version, wanted, 'Integer')?.value;
    return `${number(tag.ProtocolVersionMajor)}.${number(tag.ProtocolVersionMinor)}`;
}
function authenticates(header, wanted) {
    const authentication = child(header, tag.Authentication, 'Structure');
    const credential = authentication && child(authentication, tag.Credential, 'Structure');
    const value = credential && child(credential, tag.CredentialValue, 'Structure');
    return (value !== undefined &&
        child(value, tag.Username, 'TextString')?.value === wanted.username &&
        child(value, tag.Password, 'TextString')?.value === wanted.password);
}
const failureItems = (reason) => [
    enumeration(tag.ResultStatus, resultStatus.OperationFailed),
    enumeration(tag.ResultReason, reason),
    textString(0x42007d, 'as the test wants it'),
];
const failure = (code, reason) => structure(tag.BatchItem, [...(code === undefined ? [] : [enumeration(tag.Operation, code)]), ...failureItems(reason)]);
function response(version, items, count = items.length) {
    return structure(tag.ResponseMessage, [
        structure(tag.ResponseHeader, [
            version === '1.0' ? oneZero : versionItem(version),
            { tag: 0x420092, type: 'DateTime', value: BigInt(Math.floor(Date.now() / 1000)) },
            integer(tag.BatchCount, count),
        ]),
        ...items,
    ]);
}
const oneZero = structure(tag.ProtocolVersion, [
    integer(tag.ProtocolVersionMajor, 1),
    integer(tag.ProtocolVersionMinor, 0),
]);
