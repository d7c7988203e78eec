import { X509Certificate } from 'node:crypto';
/**
 * Certificates with the subject common name of `client` that no allowed root has issued: from a root of the suite's own,
 * from one that also has the right root's name, and from nobody. They are made in the run, so that they need no option.
 */
export function impostorsOf(client) {
    const impostors = made.get(client) ?? makeImpostors(client);
    made.set(client, impostors);
    return impostors;
}
const made = new WeakMap();
async function makeImpostors(client) {
    // The X.509 library is loaded for this alone.
    const { issue } = await import("../quickstart/certificates.js");
    const right = new X509Certificate(client.certificate);
    const commonName = commonNameIn(right.subject) ?? 'client';
    const root = await issue({ commonName: 'conformance test CA', usage: 'authority' });
    const namesake = await issue({ commonName: commonNameIn(right.issuer) ?? 'root', usage: 'authority' });
    const wanted = { commonName, usage: 'client' };
    return [
        { what: 'the right name, from another root', ...(await issue(wanted, root)) },
        { what: "the right name, from a root with the right root's name", ...(await issue(wanted, namesake)) },
        { what: 'the right name, self-signed', ...(await issue(wanted)) },
    ];
}
/** Of a name as Node.js prints it: one attribute a line. */
const commonNameIn = (name) => /^CN=(.+)$/m.exec(name)?.[1];
