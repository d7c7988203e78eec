import { request } from 'node:https';
import { createServer } from 'node:net';
import { systemCode } from "../../../adapters/contract/index.js";
import { handshake } from "./handshake.js";
import { withOwnListener } from "./own-listener.js";
import { checkTls } from "./tls-offer.js";
import { dayOf, nameOf } from "./x509.js";
const AZURE_PORT = 443;
const REQUEST_MS = 3000;
/** The port, and what TLS offers there; before the gateway runs, what it is going to offer. */
export async function checkListener(config, chain, findings) {
    const { host, port } = config.listen;
    if (port === 0) {
        findings.notChecked('listener.port', 'listen.port is 0: the system chooses one at each start', {
            advice: `Azure calls port ${AZURE_PORT}, and something must lead it here: choose a port`,
        });
    }
    else {
        const code = await tryPort({ host, port });
        if (code === 'EADDRINUSE') {
            if (await checkRunning({ host: reachable(host), port }, chain, findings))
                return;
        }
        else
            tellPort({ host, port }, code, findings);
    }
    await withOwnListener(config, (place) => checkTls(place, chain, findings, 'the gateway will offer'));
}
/** Takes the port and lets go of it at once; why it cannot, if so. */
function tryPort({ host, port }) {
    return new Promise((resolve) => {
        const server = createServer((socket) => socket.destroy());
        server.once('error', (error) => resolve(systemCode(error)));
        server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
    });
}
/** Where a listener on `host` is reached from this machine. */
const reachable = (host) => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);
function tellPort({ host, port }, code, findings) {
    const where = `${host} port ${port}`;
    const fields = { host, port };
    switch (code) {
        case undefined:
            findings.ok('listener.port', `${where} is free`, {
                fields,
                ...(port !== AZURE_PORT && {
                    advice: `Azure calls port ${AZURE_PORT}: see to it that this leads to port ${port}, with TLS passed through`,
                }),
            });
            return;
        case 'EACCES':
            findings.problem('listener.port', `this user may not listen on ${where}`, {
                fields: { ...fields, code },
                advice: 'allow unprivileged ports from there on, or give the service CAP_NET_BIND_SERVICE',
                command: `sysctl -w net.ipv4.ip_unprivileged_port_start=${port}`,
            });
            return;
        case 'EADDRNOTAVAIL':
            findings.problem('listener.port', `this machine does not have the address ${host}`, {
                fields: { ...fields, code },
                advice: 'set listen.host to one that it has, or to 0.0.0.0',
                command: 'ip -brief address',
            });
            return;
        default:
            findings.problem('listener.port', `cannot listen on ${where} (${code})`, {
                fields: { ...fields, code },
                advice: 'put listen.host and listen.port right',
            });
    }
}
/** Whether it is this gateway, so that its TLS has been looked at. */
async function checkRunning(place, chain, findings) {
    const { host, port } = place;
    const where = `${host} port ${port}`;
    const who = { command: `ss -ltnp 'sport = :${port}'` };
    const stranger = (found) => {
        findings.problem('listener.port', `${where} is in use, and not by this gateway`, {
            advice: 'end what has it, or choose another port',
            ...who,
        });
        findings.problem('listener.running', found, { advice: 'see who it is', ...who });
        return false;
    };
    const agreed = await handshake(place, { minVersion: 'TLSv1.2' });
    if ('refused' in agreed)
        return stranger(`what answers at ${where} does not speak TLS (${agreed.refused})`);
    const answersAsGateway = await answersAsProxy(place);
    const own = chain?.[0];
    const [sent] = agreed.chain;
    if (own !== undefined && sent.fingerprint256 === own.fingerprint256) {
        findings.ok('listener.port', `${where} is in use by a server with this certificate`);
        if (answersAsGateway)
            findings.ok('listener.running', `a gateway answers at ${where}`);
        else {
            findings.problem('listener.running', `what answers at ${where} is no gateway, though it has this certificate`, {
                advice: 'something in front of the gateway ends TLS, or another program has the port',
                ...who,
            });
        }
        await checkTls(place, chain, findings, 'the running gateway offers');
        return true;
    }
    const other = `${nameOf(sent)}, valid until ${dayOf(new Date(sent.validTo))}`;
    if (!answersAsGateway)
        return stranger(`what answers at ${where} is no gateway; its certificate is ${other}`);
    findings.ok('listener.port', `${where} is in use by a gateway`);
    findings.problem('listener.running', `the gateway at ${where} has another certificate: ${other}`, {
        advice: 'if it is this one, reload it (SIGHUP) and look for reload_failed in its log',
        ...who,
    });
    await checkTls(place, agreed.chain, findings, 'the running gateway offers');
    return true;
}
/** Whether a GET is answered with a ProxyError, as every gateway answers it, whoever asks. It is one line of its log. */
function answersAsProxy({ host, port }) {
    return new Promise((resolve) => {
        const outgoing = request({ host, port, path: '/', method: 'GET', agent: false, rejectUnauthorized: false });
        outgoing.setTimeout(REQUEST_MS, () => outgoing.destroy(new Error('no answer')));
        outgoing.on('error', () => resolve(false));
        outgoing.on('response', (incoming) => {
            let text = '';
            incoming.setEncoding('utf8');
            incoming.on('data', (chunk) => (text = (text + chunk).slice(0, 10_000)));
            incoming.on('error', () => resolve(false));
            incoming.on('end', () => resolve(isProxyError(text)));
        });
        outgoing.end();
    });
}
function isProxyError(text) {
    try {
        const answer = JSON.parse(text);
        return (typeof answer === 'object' &&
            answer !== null &&
            Object.keys(answer).sort().join() === 'code,message' &&
            Object.values(answer).every((value) => typeof value === 'string'));
    }
    catch {
        return false;
    }
}
