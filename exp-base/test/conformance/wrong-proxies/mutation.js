export const mutation = (name, change, caughtBy, options) => ({ name, change, caughtBy, ...(options && { options }) });
