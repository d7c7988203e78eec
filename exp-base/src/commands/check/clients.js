import { isSelfIssued, nameOf, signatureOf, strengthOf, validityOf } from "./x509.js";
/** The allow-lists of all pools. */
export function checkClients({ pools, listen }, findings) {
    if (listen.clientAuth === 'disabled') {
        findings.notChecked('clients.names', 'listen.clientAuth is disabled: the allow-lists are not looked at');
        return;
    }
    for (const pool of pools) {
        checkNames(pool, findings);
        for (const entry of pool.clients)
            checkValidity(pool.name, entry, findings);
        for (const certificate of distinct(pool.clients.flatMap(casOf)))
            checkStrength(pool.name, certificate, findings);
    }
    checkShared(pools, findings);
}
const casOf = ({ roots, intermediates }) => [...roots, ...intermediates];
export const distinct = (certificates) => [
    ...new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate])).values(),
];
function checkNames({ name, clients }, findings) {
    const names = [...new Set(clients.flatMap(({ commonNames }) => commonNames))];
    const roots = distinct(clients.flatMap((entry) => entry.roots)).map(nameOf);
    findings.ok('clients.names', `${names.join(', ')} under ${roots.join(', ')}`, { subject: name });
}
/** Of several roots, one that has ended may be an old one that nobody has taken out yet; the last good one may not. */
function checkValidity(pool, entry, findings) {
    const roots = distinct(entry.roots);
    const isGood = (certificate) => ['valid', 'ends soon'].includes(validityOf(certificate).state);
    for (const certificate of distinct(casOf(entry))) {
        const { state, inWords, daysLeft } = validityOf(certificate);
        const kind = isSelfIssued(certificate) ? 'root' : 'issuing CA';
        const found = `the ${kind} ${nameOf(certificate)}: ${inWords}`;
        const more = {
            subject: pool,
            fields: { daysLeft, notAfter: new Date(certificate.validTo).toISOString(), certificate: nameOf(certificate) },
        };
        const renewal = { advice: 'ask Azure for the CAs of today, and compare', command: SHOW };
        if (state === 'valid')
            findings.ok('clients.roots', found, more);
        else if (state === 'ends soon' || roots.some(isGood)) {
            findings.warning('clients.roots', found, { ...more, ...renewal });
        }
        else
            findings.problem('clients.roots', `${found}; no client can get in`, { ...more, ...renewal });
    }
}
export const SHOW = 'az keyvault ekm-connection certificate show --hsm-name HSM > azure.json';
function checkStrength(pool, certificate, findings) {
    const { inWords, grade } = strengthOf(certificate);
    const signature = isSelfIssued(certificate) ? undefined : signatureOf(certificate);
    const more = { subject: pool, fields: { certificate: nameOf(certificate), key: inWords } };
    if (grade !== 'weak' && signature?.weak !== true) {
        findings.ok('clients.strength', `${nameOf(certificate)}: ${inWords}`, more);
        return;
    }
    const why = grade === 'weak' ? inWords : (signature?.inWords ?? '');
    findings.problem('clients.strength', `${nameOf(certificate)}: ${why} is too weak, clients could be forged`, {
        ...more,
        advice: 'take it out, and ask Azure for the CAs of today',
        command: SHOW,
    });
}
function checkShared(pools, findings) {
    const owners = new Map();
    for (const { name, clients } of pools) {
        for (const { commonNames, roots } of clients) {
            for (const client of commonNames) {
                for (const { fingerprint256 } of roots) {
                    const key = `${fingerprint256} ${client}`;
                    const owner = owners.get(key) ?? { client, pools: new Set() };
                    owner.pools.add(name);
                    owners.set(key, owner);
                }
            }
        }
    }
    const shared = [...owners.values()].filter((owner) => owner.pools.size > 1);
    for (const { client, pools: names } of shared) {
        findings.warning('clients.shared', `${client} may use the pools ${[...names].join(' and ')}`, {
            advice: 'a Managed HSM has a name of its own: is one of them a copy that was not changed?',
        });
    }
    if (shared.length === 0)
        findings.ok('clients.shared', `no client may use two pools; there ${pools.length === 1 ? 'is 1' : `are ${pools.length}`}`);
}
