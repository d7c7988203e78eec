import { setTimeout as sleep } from 'node:timers/promises';
import { AdapterError } from "../../../adapters/contract/index.js";
import { commandFor } from "./backend-question.js";
import { callWithin } from "./time-limit.js";
export const PROBE_MS = 8000;
/** Told by backend.sessions. */
const sessionFields = ['sessions', 'openSessions', 'maxSessions'];
export const inWords = (fields = {}) => Object.entries(fields)
    .filter(([name]) => !sessionFields.includes(name))
    .map(([name, value]) => `${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`);
export const asAdapterError = (error) => {
    if (error instanceof AdapterError)
        return error;
    throw error;
};
export async function factsOf(adapter) {
    const { inspection } = adapter;
    if (inspection === undefined)
        return undefined;
    try {
        return await callWithin(PROBE_MS, (context) => inspection.facts(context));
    }
    catch (error) {
        asAdapterError(error);
        return undefined;
    }
}
export function tellServers(facts, question, findings) {
    const { name, settings, written } = question;
    const servers = facts?.servers ?? [];
    const some = servers.some(({ unusable }) => unusable === undefined);
    for (const { address, unusable, fields } of servers) {
        const more = { subject: name, fields: { server: address, ...fields } };
        if (unusable === undefined)
            findings.ok('backend.servers', `${address}: ${inWords(fields).join(', ')}`, more);
        else {
            const found = `${address} cannot be used: ${unusable}`;
            const help = { ...more, advice: serverHints[unusable] ?? 'look at that server', ...commandFor(name, settings, written) };
            // The others serve in its place.
            if (some)
                findings.warning('backend.servers', found, help);
            else
                findings.problem('backend.servers', found, help);
        }
    }
} // prettier-ignore
const serverHints = {
    ECONNREFUSED: 'nothing listens there: is it running, and is this its port?',
    ETIMEDOUT: 'does a firewall stand between?',
    ENOTFOUND: 'there is no such host: correct servers, or the DNS',
    EHOSTUNREACH: 'there is no way to that host',
};
const SESSIONS_MS = 5000;
/** Sessions are opened one after another in the background. */
export async function checkSessions(adapter, question, findings) {
    const { name, settings } = question;
    if (settings.kind !== 'pkcs11')
        return;
    const read = async () => {
        const { sessions, openSessions, maxSessions } = (await factsOf(adapter))?.fields ?? {};
        return { sessions: Number(sessions), openSessions: Number(openSessions), maxSessions };
    };
    let now = await read();
    for (const began = performance.now(); now.openSessions < now.sessions; now = await read()) {
        if (performance.now() - began > SESSIONS_MS)
            break;
        await sleep(50);
    }
    const { sessions, openSessions, maxSessions } = now;
    const limit = maxSessions === undefined ? 'the token names no limit' : `the token allows ${maxSessions}`;
    const found = `${openSessions} of ${settings.sessions ?? sessions} sessions are open; ${limit}`;
    const more = { subject: name, fields: { sessions, openSessions, ...(maxSessions !== undefined && { maxSessions }) } };
    if (openSessions >= (settings.sessions ?? sessions))
        findings.ok('backend.sessions', found, more);
    else {
        const advice = 'lower sessions, or see who else has sessions on the token (a running gateway has)';
        findings.warning('backend.sessions', found, { ...more, advice });
    }
}
