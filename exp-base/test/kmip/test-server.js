import { Secret } from "../../adapters/contract/index.js";
import { KmipCluster } from "../../adapters/kmip/transport/cluster.js";
import { issue, makePki } from "../support/pki.js";
import { cosmianLike } from "./server/behaviour.js";
import { KmipTestServer } from "./server/kmip-server.js";
export async function startTestServer(behaviour = {}) {
    const pki = await makePki();
    const client = await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.clientCa);
    const server = new KmipTestServer({ ...cosmianLike, ...behaviour }, pki.server, pki.clientCa.certificate);
    await server.start();
    const options = {
        servers: [{ host: '127.0.0.1', port: server.port }],
        tls: {
            ca: Buffer.from(pki.serverCa.certificate),
            certificate: Buffer.from(client.certificate),
            key: new Secret(Buffer.from(client.key)),
        },
    };
    return { server, pki, options, cluster: () => new KmipCluster(options, () => undefined) };
}
