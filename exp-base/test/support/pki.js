import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import { issue, } from "../../src/commands/quickstart/certificates.js";
export { issue };
export const CLIENT_CN = 'contoso.managedhsmclient.azure.net';
const DAY_MS = 24 * 3_600_000;
export async function makePki() {
    const serverCa = await issue({ commonName: 'test server CA', usage: 'authority' });
    const server = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost', '127.0.0.1'] }, serverCa);
    const clientCa = await issue({ commonName: 'test client CA', usage: 'authority' });
    const client = await issue({ commonName: CLIENT_CN, usage: 'client' }, clientCa);
    return { serverCa, server, clientCa, client };
}
export const makeClient = (authority, changes = {}) => issue({ commonName: CLIENT_CN, usage: 'client', ...changes }, authority);
/** A client whose certificate is sent with the issuing CA that the server does not know. */
export async function makeClientBehindIntermediate(root, changes = {}) {
    const intermediate = await issue({ commonName: 'test issuing CA', usage: 'authority' }, root);
    const leaf = await makeClient(intermediate, changes);
    return { certificate: leaf.certificate + intermediate.certificate, key: leaf.key };
}
export const yesterday = () => new Date(Date.now() - DAY_MS);
export const tomorrow = () => new Date(Date.now() + DAY_MS);
/**
 * Whether this Node.js shows a server the CA certificates that a client sends. Some versions do not (nodejs/node#65579),
 * and the gateway then has to refuse what it cannot tell apart.
 */
export async function sentChainsAreVisible() {
    const pki = await makePki();
    const { certificate: cert, key } = await makeClientBehindIntermediate(pki.clientCa);
    const server = createServer({
        cert: pki.server.certificate,
        key: pki.server.key,
        ca: pki.clientCa.certificate,
        requestCert: true,
        rejectUnauthorized: false,
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const client = connect({
        port: typeof address === 'object' ? address?.port : 0,
        ca: pki.serverCa.certificate,
        host: 'localhost',
        cert,
        key,
    });
    const [socket] = (await once(server, 'secureConnection'));
    const visible = Boolean(socket.getPeerCertificate(true).issuerCertificate);
    client.destroy();
    socket.destroy();
    server.close();
    return visible;
}
