import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import { checkIds } from "../../../src/commands/check/catalogue.js";
import { jsonReport } from "../../../src/commands/check/reporters/json.js";
import { TextReporter } from "../../../src/commands/check/reporters/text.js";
import { runCheck } from "../../../src/commands/check/run.js";
import { styleFor } from "../../../src/commands/style.js";
import { makeStore, PASSPHRASE } from "../../support/gateway.js";
import { CLIENT_CN, issue } from "../../support/pki.js";
import { makeWorkspace } from "../../support/workspace.js";
export const FQDN = 'ekm.example.com';
export const inDays = (days) => new Date(Date.now() + days * 86_400_000 + 60_000);
export async function makeLongPki() {
    const long = { notAfter: inDays(400) };
    const serverRoot = await issue({ commonName: 'server root', usage: 'authority', ...long });
    const serverIssuer = await issue({ commonName: 'server issuing CA', usage: 'authority', ...long }, serverRoot);
    const server = await issue({ commonName: FQDN, usage: 'server', hosts: [FQDN, 'localhost'], ...long }, serverIssuer);
    const clientRoot = await issue({ commonName: 'client root', usage: 'authority', ...long });
    const client = await issue({ commonName: CLIENT_CN, usage: 'client', ...long }, clientRoot);
    return { serverRoot, serverIssuer, server, clientRoot, client };
}
/** @param only what the checks of this site are limited to, where a test file is about a part */
export async function makeSite(only = [], keys = [], poolKeys = {}) {
    const pki = await makeLongPki();
    const workspace = await makeWorkspace();
    await makeStore(workspace.path('keys'), keys);
    await workspace.write('passphrase', `${PASSPHRASE}\n`);
    await workspace.write('server.pem', pki.server.certificate + pki.serverIssuer.certificate);
    await workspace.write('server.key', pki.server.key);
    await workspace.write('client-root.pem', pki.clientRoot.certificate);
    const pool = {
        name: 'contoso',
        pathPrefix: 'azureekm/contoso',
        clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-root.pem'] }],
        backend: 'store',
        keys: poolKeys,
    };
    const write = ({ listen, ...sections } = {}, name = 'gateway.yaml') => {
        const config = {
            listen: { host: '127.0.0.1', port: 0, tls: { certificate: 'server.pem', key: 'server.key' }, ...listen },
            log: { destination: 'stderr' },
            backends: { store: { kind: 'software', directory: 'keys', passphrase: { file: 'passphrase' } } },
            pools: [pool],
            ...sections,
        };
        return workspace.write(name, stringify(config));
    };
    return {
        workspace,
        pki,
        pool,
        write,
        check: async (changes, question) => checkFile(await write(changes), { only, ...question }),
    };
}
export async function checkFile(config, question = {}, open) {
    const reporter = new TextReporter(styleFor({}, {}));
    let text = '';
    const onFinding = (finding) => void (text += reporter.lines(finding));
    const report = await runCheck({ config, azureCertificates: [], only: [], ...question }, {}, onFinding, open);
    text += reporter.summary(report);
    const all = (id, status) => report.findings.filter((finding) => finding.id === id && (status === undefined || finding.status === status));
    return {
        report,
        text,
        json: jsonReport(report),
        all,
        ids: (status) => checkIds.filter((id) => all(id, status).length > 0),
    };
}
/** One line of this id and status says so, with what to do. */
export function expectLine(checked, id, status, line) {
    const { found, subject, advice = /./, command } = line;
    const candidates = checked.all(id, status);
    const fits = candidates.filter((finding) => found.test(finding.found) &&
        (subject === undefined || finding.subject === subject) &&
        (status === 'ok' || advice.test(finding.advice ?? '')) &&
        (command === undefined || command.test(finding.command ?? '')));
    expect(fits, `${id} ${status}: ${JSON.stringify(candidates)}\n${checked.text}`).toHaveLength(1);
}
/** Every file under a directory, with all that a change of it would change. */
export async function fingerprint(directory) {
    const found = {};
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        const { ino, mode, size, mtimeMs } = await stat(path);
        const content = entry.isFile()
            ? createHash('sha256')
                .update(await readFile(path))
                .digest('hex')
            : 'directory';
        found[path] = [ino, mode, size, mtimeMs, content].join(' ');
    }
    return found;
}
