/** What an adapter's caller hands it, with a signal of a test's own. */
export const contextOf = (signal, deadline, correlationId) => ({
    signal,
    deadline,
    correlationId,
    throwIfStopped: () => signal.throwIfAborted(),
});
