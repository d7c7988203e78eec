import { X509Certificate } from 'node:crypto';
import * as v from 'valibot';
import { about, certificates, file, mapping, nonEmptyListOf, parsePemCertificates, text, } from "./fields.js";
/** What `az keyvault ekm-connection certificate show` prints; further members are ignored. */
const azureOutput = v.object({
    subjectCommonName: v.pipe(v.string(), v.nonEmpty()),
    caCertificates: v.pipe(v.array(v.string()), v.minLength(1)),
});
export const isSelfIssued = (certificate) => certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
const azureOutputFile = (references) => v.pipe(file(references), v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const parsed = parseAzureOutput(dataset.value);
    if (parsed !== undefined)
        return parsed;
    addIssue({
        message: 'names a file that is not the output of az keyvault ekm-connection certificate show ' +
            '(JSON with subjectCommonName and caCertificates)',
    });
    return NEVER;
}));
/** One entry of a pool's `clients`. */
export const clientEntry = (references) => v.pipe(mapping({
    azureCertificate: v.exactOptional(about('The file that az keyvault ekm-connection certificate show printed.', azureOutputFile(references))),
    subjectCommonNames: v.exactOptional(about("Common names of the clients' certificates.", nonEmptyListOf(text()))),
    caCertificates: v.exactOptional(about("PEM files of the CA certificates that issue the clients' certificates, at least one root among them.", nonEmptyListOf(certificates(references)))),
}), v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const { azureCertificate, subjectCommonNames, caCertificates } = dataset.value;
    const named = subjectCommonNames &&
        caCertificates && { commonNames: subjectCommonNames, given: caCertificates.flat() };
    const listed = subjectCommonNames !== undefined || caCertificates !== undefined;
    const entry = azureCertificate ?? named;
    if (entry === undefined || (azureCertificate !== undefined && listed)) {
        addIssue({ message: 'must have either azureCertificate, or subjectCommonNames and caCertificates' });
        return NEVER;
    }
    const roots = entry.given.filter(isSelfIssued);
    if (roots.length === 0) {
        addIssue({ message: 'has no root CA: none of its CA certificates is self-signed' });
        return NEVER;
    }
    const intermediates = entry.given.filter((certificate) => !roots.includes(certificate));
    return { commonNames: entry.commonNames, roots, intermediates };
}));
/** The names and CAs of `az keyvault ekm-connection certificate show`; `undefined` for anything else. */
export function parseAzureOutput(bytes) {
    try {
        const { subjectCommonName, caCertificates } = v.parse(azureOutput, JSON.parse(new TextDecoder().decode(bytes)));
        const given = caCertificates.map((text) => text.includes('-----BEGIN') ? parsePemCertificates(text) : [new X509Certificate(Buffer.from(text, 'base64'))]);
        const complete = given.every((certificates) => certificates !== undefined);
        return complete ? { commonNames: [subjectCommonName], given: given.flat() } : undefined;
    }
    catch {
        return undefined;
    }
}
