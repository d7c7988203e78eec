import { OperatorError, systemCode } from "../adapters/contract/index.js";
/** Resolves with the port, which the system chooses for port 0. Rejects with an {@link OperatorError}. */
export async function listen(server, host, port) {
    await new Promise((resolve, reject) => {
        server.once('error', (error) => {
            const problem = explanations[systemCode(error)] ?? systemCode(error);
            reject(new OperatorError('LISTEN_FAILED', `cannot listen on ${host} port ${port}: ${problem}`));
        });
        server.listen(port, host, resolve);
    });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : port;
}
const explanations = {
    EADDRINUSE: 'another program uses that port',
    EACCES: 'this user may not use that port',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'there is no such host',
};
