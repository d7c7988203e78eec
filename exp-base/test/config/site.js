import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { ConfigInvalid, loadConfig } from "../../src/config/load.js";
import { issue, makeClient, makePki, CLIENT_CN } from "../support/pki.js";
import { makeWorkspace } from "../support/workspace.js";
/** Secrets that a configuration of these tests leads to, or that stand in it by mistake: no message may repeat one. */
export const CANARY = 'canary-0f5e1d';
export const PASSPHRASE = `${CANARY}-passphrase`;
/** A complete configuration. The tests change parts of it, and mark with `#!` the line that a complaint must name. */
export const GOOD = `\
listen:
  host: 127.0.0.1
  port: 0
  tls: { certificate: server.pem, key: server.key }
limits:
  deadlineMs: 200
backends:
  store:
    kind: software
    directory: keys
    passphrase: { file: passphrase }
pools:
  - name: contoso
    pathPrefix: azureekm/contoso
    clients:
      - azureCertificate: azure.json
    backend: store
    keys: all
`;
const der = (pem) => new X509Certificate(pem).raw.toString('base64');
const azureOutput = (...caCertificates) => JSON.stringify({ caCertificates, subjectCommonName: CLIENT_CN });
/** A directory with every file that the configurations name, good ones and bad ones. */
export async function makeSite() {
    const pki = await makePki();
    const workspace = await makeWorkspace();
    const issuing = await issue({ commonName: 'issuing CA', usage: 'authority' }, pki.clientCa);
    const otherRoot = await issue({ commonName: 'other root', usage: 'authority' });
    const stranger = await makeClient(undefined);
    const root = pki.clientCa.certificate;
    const cutShort = root.replace(/\n[^\n]+\n-----END/, '\n-----END');
    const files = {
        'server.pem': pki.server.certificate,
        'server.key': pki.server.key,
        'other.key': stranger.key,
        'root.pem': root,
        'issuing.pem': issuing.certificate,
        'bundle.pem': `# a comment\n${root}${issuing.certificate}`,
        'cut.pem': root + cutShort,
        'no-end.pem': root + root.slice(0, 200),
        'text.txt': 'not a certificate\n',
        passphrase: PASSPHRASE + '\n',
        empty: '\n',
        'azure.json': azureOutput(der(root)),
        'azure-several.json': azureOutput(der(root), der(issuing.certificate), der(otherRoot.certificate)),
        'azure-pem.json': azureOutput(root + issuing.certificate),
        'azure-no-root.json': azureOutput(der(issuing.certificate)),
        'azure-cut.json': azureOutput(der(root), cutShort),
        'azure-junk.json': azureOutput('bm90IGEgY2VydGlmaWNhdGU='),
        'azure-none.json': azureOutput(),
        'azure-shape.json': JSON.stringify({ subjectCommonName: CLIENT_CN, certificate: `${CANARY}-json` }),
        'azure-nameless.json': JSON.stringify({ subjectCommonName: '', caCertificates: [der(root)] }),
        'azure-text.json': `${CANARY}-not-json`,
    };
    for (const [name, content] of Object.entries(files))
        await workspace.write(name, content);
    await mkdir(workspace.path('directory'));
    const openssl = (...args) => execFileSync('openssl', args, { cwd: workspace.directory, stdio: 'pipe' });
    const pair = ['-inkey', 'server.key', '-in', 'server.pem'];
    openssl('pkcs12', '-export', ...pair, '-out', 'server.p12', '-passout', 'file:passphrase');
    openssl('pkcs12', '-export', ...pair, '-out', 'open.p12', '-passout', 'pass:');
    openssl('pkcs12', '-export', '-nokeys', '-in', 'server.pem', '-out', 'keyless.p12', '-passout', 'pass:');
    openssl('x509', '-in', 'server.pem', '-outform', 'der', '-out', 'server.der');
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-keyout', 'rsa.key', '-out', 'rsa.pem');
    openssl('pkcs8', '-topk8', '-in', 'server.key', '-out', 'encrypted.key', '-passout', 'file:passphrase');
    return { workspace, write: (yaml) => workspace.write('gateway.yaml', yaml) };
}
/** The software backend of that name. */
export function softwareBackend(backends, name) {
    const backend = backends[name];
    if (backend?.kind !== 'software')
        throw new Error(`no software backend ${name}`);
    return backend;
}
/** Everything that is wrong; each message is looked through for secrets. */
export function problemsOf(file, environment = {}) {
    try {
        loadConfig(file, environment);
    }
    catch (error) {
        if (!(error instanceof ConfigInvalid))
            throw error;
        expect(error.message).not.toContain(CANARY);
        expect(error.message.split('\n')).toHaveLength(error.problems.length);
        return error.problems;
    }
    return [];
}
export const markedLines = (yaml) => yaml.split('\n').flatMap((line, index) => (line.includes('#!') ? [index + 1] : []));
