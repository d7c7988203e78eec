/**
 * The test server of test/kmip as a program, with one AES key named `aes`. Standard input brings a
 * {@link KmipServerInput}; the first line of standard output is the port and the key's id.
 */
import { text } from 'node:stream/consumers';
import { KmipCluster } from "../../../adapters/kmip/transport/cluster.js";
import { Secret } from "../../../adapters/contract/index.js";
import { activateIfNeeded, registerAes } from "../../kmip/register.js";
import { cosmianLike } from "../../kmip/server/behaviour.js";
import { KmipTestServer } from "../../kmip/server/kmip-server.js";
const input = JSON.parse(await text(process.stdin));
const server = new KmipTestServer(cosmianLike, input.server, input.clientCa);
await server.start();
const cluster = new KmipCluster({
    servers: [{ host: '127.0.0.1', port: server.port }],
    tls: {
        ca: Buffer.from(input.serverCa),
        certificate: Buffer.from(input.client.certificate),
        key: new Secret(Buffer.from(input.client.key)),
    },
}, () => undefined);
const keyId = await registerAes(cluster, Buffer.from(input.kek, 'base64url'), { name: 'aes' });
await activateIfNeeded(cluster, keyId);
cluster.close();
process.stdout.write(JSON.stringify({ port: server.port, keyId }) + '\n');
process.once('SIGTERM', () => process.exit(0));
