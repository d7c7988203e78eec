import { TtlvError } from "../src/index.js";
/** Code and offset of the TtlvError that `work` throws; anything else that it does fails the test. */
export function failureOf(work) {
    try {
        work();
    }
    catch (error) {
        if (error instanceof TtlvError)
            return { code: error.code, offset: error.offset };
        throw error;
    }
    throw new Error('nothing was thrown');
}
