import { checkCompleteness, checkKey, checkOrder } from "./certificate-chain.js";
import { climb } from "./server-chain.js";
import { quoted } from "./words.js";
import { isSelfIssued, nameOf, signatureOf, strengthOf, validityOf, WARNING_DAYS } from "./x509.js";
/** The server certificate, as far as it can be judged from here. */
export function checkCertificate(question, findings) {
    checkKey(question, findings);
    checkOrder(question, findings);
    checkCompleteness(question, findings);
    const { chain, fqdn } = question;
    const path = climb(chain[0], chain.slice(1));
    for (const [index, certificate] of path.entries())
        checkExpiry(certificate, index === 0, question, findings);
    checkName(chain[0], fqdn, findings);
    checkStrength(path, findings);
    checkUsage(path, findings);
    checkForAzure(question, findings);
}
function checkExpiry(certificate, isOwn, { file }, findings) {
    const { state, inWords, daysLeft } = validityOf(certificate);
    const more = {
        subject: nameOf(certificate),
        fields: { daysLeft, notAfter: new Date(certificate.validTo).toISOString() },
    };
    const renewal = {
        advice: isOwn
            ? 'renew it, and a gateway that runs reads it within seconds; under another root, tell Azure of that first'
            : 'ask its CA for the current one',
        command: `openssl x509 -noout -subject -dates -in ${quoted(file)}`,
    };
    switch (state) {
        case 'valid':
            findings.ok('certificate.expiry', inWords, more);
            return;
        case 'ends soon':
            findings.warning('certificate.expiry', `${inWords}, fewer than ${WARNING_DAYS}`, { ...more, ...renewal });
            return;
        case 'ended':
            findings.problem('certificate.expiry', inWords, { ...more, ...renewal });
            return;
        case 'not yet':
            findings.problem('certificate.expiry', inWords, { ...more, advice: 'is the clock right? see clock.plausible' });
    }
}
function checkName(leaf, fqdn, findings) {
    const names = leaf.subjectAltName ?? 'no subject alternative name';
    const more = { fields: { names } };
    if (fqdn === undefined) {
        findings.notChecked('certificate.name', `the certificate names ${names}`, {
            ...more,
            advice: 'give the --host that Azure was told as --fqdn',
        });
    }
    else if (leaf.checkHost(fqdn, { subject: 'never' }) !== undefined) {
        findings.ok('certificate.name', `the certificate names ${fqdn}`, more);
    }
    else if (leaf.checkHost(fqdn, { subject: 'always' }) !== undefined) {
        findings.warning('certificate.name', `only the common name is ${fqdn}; subject alternative name: ${names}`, {
            ...more,
            advice: 'Microsoft asks for a subject alternative name: have the certificate issued anew with one',
        });
    }
    else {
        findings.problem('certificate.name', `the certificate does not name ${fqdn}, but ${names}`, {
            ...more,
            advice: 'have it issued anew for that name, or tell Azure the name that it has (a new connection)',
            command: `az keyvault ekm-connection show --hsm-name HSM --query host`,
        });
    }
}
function checkStrength(path, findings) {
    for (const certificate of path) {
        const { inWords, grade } = strengthOf(certificate);
        const more = { subject: nameOf(certificate), fields: { key: inWords } };
        if (grade === 'good')
            findings.ok('certificate.public-key', inWords, more);
        else if (grade === 'weak') {
            const advice = 'make a key of RSA 2048 bits or more, or EC P-256, and have a certificate issued for it';
            findings.problem('certificate.public-key', `${inWords} is too weak`, { ...more, advice });
        }
        else {
            const advice = 'RSA of 2048 bits or more, P-256 and P-384 are understood everywhere';
            findings.warning('certificate.public-key', `${inWords}: nobody says whether Azure takes it`, { ...more, advice });
        }
        // A root is trusted as it is; its own signature proves nothing.
        if (isSelfIssued(certificate) && certificate !== path[0])
            continue;
        const signature = signatureOf(certificate);
        if (signature.weak) {
            const advice = 'have it issued anew with SHA-256 or better';
            const found = `signed with ${signature.inWords}, which can be forged`;
            findings.problem('certificate.signature', found, { subject: nameOf(certificate), advice });
        }
        else
            findings.ok('certificate.signature', `signed with ${signature.inWords}`, { subject: nameOf(certificate) });
    }
}
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const ANY_USAGE = '2.5.29.37.0';
function checkUsage(path, findings) {
    const [leaf, ...issuers] = path;
    // Node.js calls the extended key usage so.
    const purposes = leaf.keyUsage;
    const more = { subject: nameOf(leaf) };
    if (purposes !== undefined && !purposes.includes(SERVER_AUTH) && !purposes.includes(ANY_USAGE)) {
        findings.problem('certificate.usage', 'its extended key usage is not that of a TLS server (serverAuth)', {
            ...more,
            advice: 'have a server certificate issued: this one is for something else',
        });
    }
    else if (issuers.some(({ ca }) => !ca)) {
        findings.problem('certificate.usage', 'a certificate in the chain issued another without being a CA', {
            subject: nameOf(issuers.find(({ ca }) => !ca) ?? leaf),
            advice: "use the CA's certificate in its place",
        });
    }
    else if (leaf.ca) {
        const found = isSelfIssued(leaf) ? 'it signed itself, and is its own CA' : 'it is the certificate of a CA';
        findings.warning('certificate.usage', found, {
            ...more,
            advice: 'let a root issue it: else Azure must be told of every renewal',
        });
    }
    else
        findings.ok('certificate.usage', 'a server certificate', more);
}
/** What Microsoft's networking page says that Managed HSM validates: the chain, the validity, the name. */
const asked = ['certificate.chain-complete', 'certificate.expiry', 'certificate.name'];
function checkForAzure(question, findings) {
    const problems = ids(findings, 'problem', 'certificate.');
    const open = ids(findings, 'not checked', 'certificate.').filter((id) => asked.includes(id));
    if (problems.length > 0) {
        findings.problem('certificate.azure', `Managed HSM would not take it: ${problems.join(', ')}`, {
            advice: 'see those lines',
        });
    }
    else if (open.length > 0) {
        findings.notChecked('certificate.azure', `nothing speaks against it, but this is not known: ${open.join(', ')}`, {
            advice: [
                ...(question.fqdn === undefined ? ['--fqdn HOST'] : []),
                ...(question.serverCa === undefined ? ['--server-ca ROOT.pem'] : []),
            ].join(' and '),
        });
    }
    else
        findings.ok('certificate.azure', 'chain, validity and name are as Managed HSM asks');
}
const ids = ({ all }, wanted, prefix) => [
    ...new Set(all.filter(({ id, status }) => status === wanted && id.startsWith(prefix)).map(({ id }) => id)),
];
