import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { nameOf } from "./x509.js";
/** A file that is so much newer than now says that the clock is behind, or was. */
const TOLERANCE_MS = 5 * 60_000;
const ANSWER_MS = 3000;
/** What can be said of the clock without asking anybody outside. */
export async function checkClock(certificates, files, findings) {
    await checkPlausibility(certificates, files, findings);
    await checkSynchronisation(findings);
}
async function checkPlausibility(certificates, files, findings) {
    const now = Date.now();
    const utc = new Date(now).toISOString();
    const advice = 'set the clock, and keep it by NTP: with a wrong one, certificates and keys are refused';
    const before = findings.all.length;
    for (const certificate of certificates) {
        const from = Date.parse(certificate.validFrom);
        if (from <= now)
            continue;
        const found = `it is ${utc}, but the certificate ${nameOf(certificate)} begins on ${new Date(from).toISOString()}`;
        findings.warning('clock.plausible', found, { advice, command: 'date -u' });
    }
    for (const { path } of files) {
        const changed = await stat(path).then(({ mtimeMs }) => mtimeMs, () => 0);
        if (changed <= now + TOLERANCE_MS)
            continue;
        const found = `it is ${utc}, but ${path} was changed on ${new Date(changed).toISOString()}`;
        findings.warning('clock.plausible', found, { advice, command: 'date -u' });
    }
    if (findings.all.length === before) {
        findings.ok('clock.plausible', `${utc} is after the beginning of every certificate and the change of every file`);
    }
}
/** systemd asks the kernel, whichever program sets the clock. */
async function checkSynchronisation(findings) {
    const answer = await new Promise((resolve) => {
        const args = ['show', '--property=NTPSynchronized', '--value'];
        execFile('timedatectl', args, { timeout: ANSWER_MS }, (error, stdout) => resolve(error ? '' : stdout.trim()));
    });
    if (answer === 'yes')
        findings.ok('clock.synchronised', 'the kernel says that the clock is synchronised');
    else if (answer === 'no') {
        findings.warning('clock.synchronised', 'the kernel says that the clock is not synchronised', {
            advice: 'let a time service set it',
            command: 'timedatectl set-ntp true',
        });
    }
    else {
        findings.notChecked('clock.synchronised', 'there is no systemd to ask (timedatectl)', {
            advice: 'ask the time service, or the host of this container',
            command: 'chronyc tracking',
        });
    }
}
