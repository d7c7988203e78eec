import { handshake } from "./handshake.js";
import { climb } from "./server-chain.js";
import { isSelfIssued, nameOf } from "./x509.js";
const wanted = ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256'];
const others = ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_CCM_SHA256', 'TLS_AES_128_CCM_8_SHA256'];
export async function checkTls(place, chain, findings, who) {
    const best = await handshake(place, { minVersion: 'TLSv1.3' });
    if ('refused' in best) {
        findings.problem('tls.version', `TLS 1.3 is refused (${best.refused})`, { advice: 'Azure speaks TLS 1.3 only' });
        return;
    }
    // Old suites need a client that is less strict than OpenSSL is by itself.
    const older = { minVersion: 'TLSv1', maxVersion: 'TLSv1.2', ciphers: 'DEFAULT:@SECLEVEL=0' };
    const old = await handshake(place, older);
    if ('refused' in old)
        findings.ok('tls.version', `${who} TLS 1.3, and refuses what is older (${old.refused})`);
    else {
        findings.problem('tls.version', `${who} ${old.protocol} too`, {
            advice: 'what answers is not the gateway itself: let whatever is in front of it pass TLS through',
        });
    }
    await checkSuites(place, findings, who);
    checkSent(best, chain, findings);
}
async function checkSuites(place, findings, who) {
    const offered = [];
    for (const name of [...wanted, ...others]) {
        const result = await handshake(place, { minVersion: 'TLSv1.3', ciphers: name });
        if (!('refused' in result))
            offered.push(name);
    }
    const missing = wanted.filter((name) => !offered.includes(name));
    const more = others.filter((name) => offered.includes(name));
    const fields = { offered: offered.join(' ') };
    if (missing.length > 0) {
        const advice = 'Azure asks for both suites: is it the gateway that answers, and which OpenSSL does it run on?';
        findings.problem('tls.suites', `${missing.join(' and ')} is refused`, { fields, advice });
    }
    else if (more.length > 0) {
        const advice = 'what answers is not the gateway itself: it offers just the two that Azure asks for';
        findings.warning('tls.suites', `${who} ${more.join(' and ')} too`, { fields, advice });
    }
    else
        findings.ok('tls.suites', `${who} ${offered.join(' and ')}`, { fields });
}
function checkSent({ chain: sent }, chain, findings) {
    // A root need not be sent, and Node.js does not show one that is out of order.
    const needed = chain === undefined ? [] : climb(chain[0], chain.slice(1)).filter((one) => one === chain[0] || !isSelfIssued(one));
    const missing = needed.find(({ fingerprint256 }) => sent.every((other) => other.fingerprint256 !== fingerprint256));
    if (missing === undefined)
        findings.ok('tls.chain', inWords(sent));
    else {
        findings.problem('tls.chain', `${nameOf(missing)} is in the file and is not sent; sent is ${inWords(sent)}`, {
            advice: 'reload the gateway (SIGHUP), if the file is newer; leave out of it what does not belong to the chain',
        });
    }
}
const inWords = (chain) => `${chain.length === 1 ? 'one certificate' : `${chain.length} certificates`}: ${chain.map(nameOf).join(', ')}`;
