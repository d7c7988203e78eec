/** Why `name` could be taken for `wanted`; `undefined` if it could not, or is the same. */
export function nearMiss(wanted, name) {
    if (name === wanted)
        return undefined;
    if (name.toLowerCase() === wanted.toLowerCase())
        return 'differs in upper and lower case';
    if (plain(name) === plain(wanted))
        return 'differs in punctuation';
    return differsByOne(wanted, name) ? 'differs by a character' : undefined;
}
const plain = (name) => name.toLowerCase().replace(/[^a-z0-9]/g, '');
/** One character put in, left out, or replaced. */
function differsByOne(one, other) {
    const [short, long] = one.length <= other.length ? [one, other] : [other, one];
    if (long.length - short.length > 1)
        return false;
    let start = 0;
    while (start < short.length && short[start] === long[start])
        start++;
    return long.slice(start + 1) === short.slice(short.length === long.length ? start + 1 : start);
}
