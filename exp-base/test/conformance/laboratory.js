import { createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { runConformance } from "../../src/commands/conformance/runner.js";
import { CLIENT_CN, issue, makeClient, makePki, yesterday } from "../support/pki.js";
import { right } from "./wrong-proxies/behaviour.js";
import { SimpleProxy } from "./wrong-proxies/proxy.js";
export async function makeLaboratory() {
    const pki = await makePki();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rsa = { kty: 'RSA', privateKey, publicKey: createPublicKey(privateKey), bytes: 256 };
    const aes = () => ({ kty: 'oct', kek: randomBytes(32) });
    const otherRoot = await issue({ commonName: 'another root', usage: 'authority' });
    const parts = {
        server: pki.server,
        trusted: [pki.clientCa.certificate, otherRoot.certificate],
        allowed: { commonName: CLIENT_CN, root: new X509Certificate(pki.clientCa.certificate) },
        keys: new Map([
            ['aes-1', aes()],
            ['aes-2', aes()],
            ['rsa-1', rsa],
            ['off', { ...aes(), disabled: true }],
        ]),
    };
    const refused = await refusedClients(pki, otherRoot);
    return {
        pki,
        parts,
        refused,
        test: async (behaviour, options = {}, aesKeys = ['aes-1', 'aes-2']) => {
            const proxy = new SimpleProxy({ ...right, ...behaviour }, parts);
            const port = await proxy.listen();
            const target = {
                host: 'localhost',
                port,
                prefix: 'azureekm/contoso',
                ca: pki.serverCa.certificate,
                client: pki.client,
                aesKeys,
                rsaKeys: ['rsa-1'],
                disabledKeys: ['off'],
                refused,
            };
            try {
                return await runConformance({ target, load: { rate: 100, seconds: 1, connections: 4 }, ...options });
            }
            finally {
                proxy.close();
            }
        },
    };
}
/** Clients that differ from the right one in one thing each. */
export async function refusedClients(pki, otherRoot) {
    return new Map([
        ['another name', await makeClient(pki.clientCa, { commonName: 'fabrikam.managedhsmclient.azure.net' })],
        ['another root', await makeClient(otherRoot)],
        ['expired', await makeClient(pki.clientCa, { notBefore: yesterday(), notAfter: new Date(Date.now() - 1000) })],
    ]);
}
