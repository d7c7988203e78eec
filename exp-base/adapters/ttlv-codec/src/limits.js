export const defaultLimits = { maxBytes: 1_048_576, maxDepth: 32, maxItems: 65_536 };
/** Decoding and encoding recurse once a level: this many levels are far from the end of any engine's stack. */
const DEEPEST = 512;
/** Throws a RangeError for bounds that make no sense, which is a mistake of the program and not of a message. */
export function completeLimits(limits) {
    const complete = { ...defaultLimits, ...limits };
    assertBound('maxBytes', complete.maxBytes, 8, 2 ** 32 + 7);
    assertBound('maxDepth', complete.maxDepth, 1, DEEPEST);
    assertBound('maxItems', complete.maxItems, 1, Number.MAX_SAFE_INTEGER);
    return complete;
}
function assertBound(name, value, min, max) {
    if (Number.isInteger(value) && value >= min && value <= max)
        return;
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}`);
}
