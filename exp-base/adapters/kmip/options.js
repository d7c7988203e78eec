import { OperatorError } from "../contract/index.js";
const MAX_CONNECTIONS = 64;
export const DEFAULT_PORT = 5696;
const DEFAULT_CONNECTIONS = 8;
/** Throws an {@link OperatorError} for options that cannot be meant. */
export function checkOptions({ servers, connections }) {
    if (servers.length === 0)
        throw new OperatorError('KMIP_OPTION_INVALID', 'servers must name at least one server');
    if (connections !== undefined &&
        !(Number.isInteger(connections) && connections >= 1 && connections <= MAX_CONNECTIONS)) {
        throw new OperatorError('KMIP_OPTION_INVALID', `connections must be a whole number from 1 to ${MAX_CONNECTIONS}`);
    }
}
export const connectionsOf = (options) => options.connections ?? DEFAULT_CONNECTIONS;
