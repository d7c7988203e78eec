import { parsePemCertificates } from "../../config/fields.js";
import { quoted } from "./words.js";
import { nameOf, validityOf, WARNING_DAYS } from "./x509.js";
export function checkCertificates(name, { tls }, written, findings) {
    for (const setting of ['certificate', 'ca']) {
        for (const certificate of pemCertificates(tls[setting])) {
            const { state, inWords: words, daysLeft } = validityOf(certificate);
            const found = `${setting === 'ca' ? 'the CA' : "this client's"} ${nameOf(certificate)}: ${words}`;
            const file = written.path('backends', name, 'tls', setting);
            const more = { subject: name, fields: { daysLeft, setting } };
            const help = {
                ...more,
                advice: `have it renewed (fewer than ${WARNING_DAYS} days are a warning); a gateway that runs reads it within seconds`,
                ...(file !== undefined && { command: `openssl x509 -noout -subject -dates -in ${quoted(file)}` }),
            };
            if (state === 'valid')
                findings.ok('backend.certificates', found, more);
            else if (state === 'ends soon')
                findings.warning('backend.certificates', found, help);
            else
                findings.problem('backend.certificates', found, help);
        }
    }
}
export const pemCertificates = (pem) => parsePemCertificates(Buffer.from(pem).toString('latin1')) ?? [];
