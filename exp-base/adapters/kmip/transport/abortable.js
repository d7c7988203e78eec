/**
 * Waits for `work`, but not longer than until `signal` fires: then rejects with its reason, and `discard` gets what `work`
 * brings later.
 */
export function abortable(work, signal, discard) {
    return new Promise((resolve, reject) => {
        const onAbort = () => reject(signal.reason);
        if (signal.aborted)
            onAbort();
        signal.addEventListener('abort', onAbort, { once: true });
        work.then((value) => {
            signal.removeEventListener('abort', onAbort);
            if (signal.aborted)
                discard?.(value);
            resolve(value);
        }, (error) => {
            signal.removeEventListener('abort', onAbort);
            reject(error);
        });
    });
}
