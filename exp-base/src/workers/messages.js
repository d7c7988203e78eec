export const answers = {
    status: async (gateway) => gateway.status(),
    metrics: (gateway) => gateway.metrics.snapshot(),
};
/** Node.js's cluster and others send messages of their own on the same channel. */
export const MARK = 'ekm-gateway';
export const isOurs = (message) => typeof message === 'object' && message !== null && 'mark' in message && message.mark === MARK;
