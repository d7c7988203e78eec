import { ConfigInvalid, loadBackends } from "../../config/load.js";
import { pemCertificates } from "./backend-certificates.js";
import { checkBackend } from "./backends.js";
import { checkCertificate } from "./certificate.js";
import { checkClients } from "./clients.js";
import { checkClock } from "./clock.js";
import { checkClientAuth, checkConfiguration, checkFiles, checkLog } from "./configuration.js";
import { checkDrift, readFresh } from "./drift.js";
import { Findings, statuses } from "./findings.js";
import { handshake } from "./handshake.js";
import { checkListener } from "./listener.js";
import { withOwnListener } from "./own-listener.js";
import { readServerFiles } from "./server-chain.js";
import { WrittenSettings } from "./written-settings.js";
/**
 * Looks at everything that a gateway with this configuration needs, and changes none of it. Every step has a time limit of
 * its own. Rejects with CouldNotRun where the question cannot be answered.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export async function runCheck(question, environment, onFinding, open) {
    const startedAt = new Date();
    const began = performance.now();
    const findings = new Findings(question.only, onFinding);
    const written = WrittenSettings.read(question.config, environment);
    const fresh = await readAllFresh(question, written);
    const config = checkConfiguration(question.config, environment, findings);
    if (config !== undefined) {
        checkClientAuth(config, findings);
        await checkLog(config, findings);
    }
    if (written === undefined)
        notReached(findings);
    else {
        const files = written.files();
        await checkFiles(files, findings);
        const server = readServerFiles(written);
        const chain = await chainOf(server, config);
        judgeCertificate(server, chain, config, question, findings);
        if (config === undefined) {
            findings.notChecked('clients.names', NOT_VALID);
            findings.notChecked('listener.port', NOT_VALID);
        }
        else {
            checkClients(config, findings);
            checkDrift(config, fresh, findings);
            if (findings.wants('listener', 'tls'))
                await checkListener(config, chain, findings);
        }
        if (findings.wants('clock'))
            await checkClock(datedCertificates(chain, config), files, findings);
        if (findings.wants('backend', 'key'))
            await checkBackends(question, environment, config, written, findings, open);
    }
    const { reported } = findings;
    const counts = Object.fromEntries(statuses.map((status) => [status, reported.filter((finding) => finding.status === status).length]));
    const seconds = (performance.now() - began) / 1000;
    return { config: question.config, startedAt, seconds, findings: reported, counts };
}
const NOT_VALID = 'the configuration is not valid: see configuration.valid';
function notReached(findings) {
    for (const id of ['certificate.chain-order', 'clients.names', 'listener.port', 'backend.open']) {
        findings.notChecked(id, NOT_VALID);
    }
}
function readAllFresh(question, written) {
    const pools = (written?.within('pools') ?? []).flatMap((index) => written?.text('pools', index, 'name') ?? []);
    return Promise.all(question.azureCertificates.map((given) => readFresh(given, pools)));
}
/** A PKCS#12 file's certificates are those that OpenSSL finds in it, and sends. */
async function chainOf(server, config) {
    if (server?.kind === 'pem')
        return server.chain;
    if (server === undefined || config === undefined)
        return undefined;
    const agreed = await withOwnListener(config, (place) => handshake(place, { minVersion: 'TLSv1.3' }));
    return 'refused' in agreed ? undefined : agreed.chain;
}
function judgeCertificate(server, chain, config, { fqdn, serverCa }, findings) {
    if (server === undefined || chain === undefined) {
        findings.notChecked('certificate.azure', 'the certificate cannot be read: see configuration.valid');
        return;
    }
    const question = {
        file: server.file,
        keyFile: server.kind === 'pem' ? server.keyFile : undefined,
        chain,
        ordered: server.kind === 'pem',
        keyBelongs: config !== undefined,
        fqdn,
        serverCa,
    };
    checkCertificate(question, findings);
}
function datedCertificates(chain, config) {
    const clients = (config?.pools ?? []).flatMap((pool) => pool.clients.flatMap(({ roots, intermediates }) => [...roots, ...intermediates]));
    const backends = Object.values(config?.backends ?? {}).flatMap((settings) => settings.kind === 'kmip' ? [...pemCertificates(settings.tls.ca), ...pemCertificates(settings.tls.certificate)] : []);
    return [...(chain ?? []), ...clients, ...backends];
}
/** Also with a configuration that is wrong elsewhere, as far as the backends are right. */
async function checkBackends(question, environment, config, written, findings, open) {
    const backends = config?.backends ?? backendsAlone(question.config, environment);
    if (backends === undefined) {
        findings.notChecked('backend.open', NOT_VALID);
        return;
    }
    for (const [name, settings] of Object.entries(backends)) {
        const pools = (config?.pools ?? []).filter(({ backend }) => backend === name);
        const deadlineMs = config?.limits.deadlineMs ?? DEFAULT_DEADLINE_MS;
        await checkBackend({ name, settings, pools, deadlineMs, written }, findings, open);
    }
}
const DEFAULT_DEADLINE_MS = 200;
function backendsAlone(file, environment) {
    try {
        return loadBackends(file, environment);
    }
    catch (error) {
        if (error instanceof ConfigInvalid)
            return undefined;
        throw error;
    }
}
