import { abortable, AdapterError } from "../../contract/index.js";
import { TtlvError } from "../../ttlv-codec/src/index.js";
import { connectionsOf } from "../options.js";
import { discoverVersions, query } from "../protocol/discovery.js";
import { encodeRequest, readResponse } from "../protocol/message.js";
import { ReplyMismatch } from "../protocol/operation.js";
import { kmipVersions } from "../protocol/version.js";
import { ConnectFailed, Connection, ConnectionLost } from "./connection.js";
import { Pool } from "./pool.js";
import { addressOf, tlsOptions } from "./tls.js";
const CONNECT_TIMEOUT_MS = 3000;
const NEGOTIATION_TIMEOUT_MS = 5000;
const PING_TIMEOUT_MS = 2000;
/** Nothing was sent, so that another server can be asked instead. */
export class ServerUnreachable extends Error {
    name = 'ServerUnreachable';
    code;
    constructor(code) {
        super(`the server cannot be reached: ${code}`);
        this.code = code;
    }
}
/** Nearly every server answers to an old header; PyKMIP refuses one of 2.1 outright. */
const oldestFirst = [...kmipVersions].reverse();
const unavailable = (message) => new AdapterError('BACKEND_UNAVAILABLE', message);
/** One KMIP server: its connections, and the protocol version that was agreed with it. */
export class KmipServer {
    address;
    #credentials;
    #fixedVersion;
    #pool;
    #negotiated;
    #nextId = 1;
    constructor(server, options) {
        const connect = tlsOptions(server, options);
        this.address = addressOf(server);
        this.#credentials = options.credentials;
        this.#fixedVersion = options.protocol;
        this.#pool = new Pool({
            open: (onClose) => Connection.open(connect, CONNECT_TIMEOUT_MS, onClose),
            max: connectionsOf(options),
            ping: (connection) => this.#ping(connection),
        });
    }
    /**
     * Sends the operations as one batch. Rejects with {@link ServerUnreachable} if nothing could be sent, with the signal's
     * reason, or with an AdapterError; a server that says no is an outcome.
     */
    async call(operations, signal) {
        const { version } = await abortable(this.negotiate(), signal);
        return this.#send(operations, version, signal);
    }
    /** Agrees on a version and asks what the server can do, once; after {@link forget} anew. */
    negotiate() {
        this.#negotiated ??= this.#negotiate().catch((error) => {
            this.#negotiated = undefined;
            throw error;
        });
        return this.#negotiated;
    }
    /** What was agreed is not believed any more: the server may have been replaced by another version. */
    forget() {
        this.#negotiated = undefined;
    }
    /** Connections that are open or being opened. */
    get connections() {
        return this.#pool.size;
    }
    close() {
        this.#pool.close();
    }
    async #negotiate() {
        const signal = AbortSignal.timeout(NEGOTIATION_TIMEOUT_MS);
        try {
            const version = await this.#agree(signal);
            const [capabilities] = await this.#send([query], version, signal);
            // A server may answer Query to nobody: then what it can do shows when it is asked to.
            return { version, ...(capabilities?.ok ? capabilities.value : { operations: new Set() }) };
        }
        catch (error) {
            if (signal.aborted)
                throw unavailable(`${this.address} did not answer in time`);
            throw error;
        }
    }
    /** A server may refuse a header of a version that it does not know, so the question goes out in several. */
    async #agree(signal) {
        const offered = this.#fixedVersion === undefined ? kmipVersions : [this.#fixedVersion];
        let silence;
        for (const header of oldestFirst) {
            try {
                const [outcome] = await this.#send([discoverVersions(offered)], header, signal);
                if (!outcome?.ok)
                    continue;
                const [best] = outcome.value;
                if (best !== undefined)
                    return best;
            }
            catch (error) {
                // Some servers answer nothing at all to a header that they cannot read.
                if (!(error instanceof AdapterError) || error.code !== 'BACKEND_UNAVAILABLE' || signal.aborted)
                    throw error;
                silence = error;
            }
        }
        if (silence !== undefined)
            throw silence;
        throw unavailable(`${this.address} speaks none of KMIP ${offered.join(', ')}`);
    }
    async #send(operations, version, signal) {
        const repeatable = operations.every((operation) => operation.repeatable);
        for (let attempt = 1;; attempt++) {
            let wasUsed = false;
            try {
                return await this.#pool.use(signal, (connection) => {
                    wasUsed = connection.wasUsed;
                    return this.#exchange(connection, operations, version, signal);
                });
            }
            catch (error) {
                if (error instanceof ConnectFailed)
                    throw new ServerUnreachable(error.code);
                if (error instanceof ConnectionLost) {
                    // An idle connection that the server dropped at this very moment. Several may have been dropped together.
                    if (wasUsed && !error.replyStarted && repeatable && attempt <= 1 + MAX_DROPPED)
                        continue;
                    throw unavailable(`${this.address} closed the connection instead of answering`);
                }
                if (error instanceof TtlvError || error instanceof ReplyMismatch) {
                    throw unavailable(`${this.address} answered with something else: ${error.message}`);
                }
                throw error;
            }
        }
    }
    async #exchange(connection, operations, version, signal) {
        const firstId = this.#nextId;
        this.#nextId += operations.length;
        const frame = await connection.exchange(encodeRequest(operations, version, firstId, this.#credentials), signal);
        try {
            return readResponse(frame, operations, version, firstId);
        }
        catch (error) {
            connection.close();
            throw error;
        }
        finally {
            frame.fill(0);
        }
    }
    async #ping(connection) {
        const operation = discoverVersions(kmipVersions);
        try {
            await this.#exchange(connection, [operation], '1.2', AbortSignal.timeout(PING_TIMEOUT_MS));
        }
        catch {
            connection.close();
        }
    }
}
/** At most as many as a pool can have dropped at once is not worth it: the next one is most probably new. */
const MAX_DROPPED = 2;
/** The value, or the refusal thrown. */
export function valueOf(outcome) {
    if (outcome === undefined)
        throw new ReplyMismatch('no outcome');
    if (outcome.ok)
        return outcome.value;
    throw outcome.refusal;
}
