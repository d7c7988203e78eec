import { randomBytes } from 'node:crypto';
import { TICKET_KEY_BYTES } from "../../config/ticket-keys.js";
import { Listener } from "../../tls/listener.js";
import { Trust } from "../../tls/trust.js";
const nothing = () => undefined;
const silent = {
    error: nothing,
    warn: nothing,
    info: nothing,
    debug: nothing,
    always: nothing,
    dropped: 0,
    close: async () => undefined,
};
/** The gateway's own TLS side for a moment, on loopback at a port that the system chooses, for `work` to look at. */
export async function withOwnListener(config, work) {
    const { listen, pools, limits } = config;
    const host = '127.0.0.1';
    const { clientAuth, tls } = listen;
    const listener = new Listener({ host, port: 0, clientAuth, log: silent }, {
        ...limits,
        credentials: tls,
        trust: new Trust(pools.flatMap(({ clients }) => clients)),
        ticketKeys: randomBytes(TICKET_KEY_BYTES),
    });
    const port = await listener.listen();
    try {
        return await work({ host, port });
    }
    finally {
        listener.stopAccepting();
        listener.closeConnections();
    }
}
