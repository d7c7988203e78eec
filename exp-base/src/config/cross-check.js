const isMapping = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const mapping = (value) => (isMapping(value) ? value : {});
const list = (value) => (Array.isArray(value) ? value : []);
/**
 * What is wrong between settings that are each right by themselves. It looks at the data as it was read, so that these
 * are reported together with whatever else is wrong.
 */
export function crossCheck(data) {
    const { backends, pools, listen } = mapping(data);
    const names = Object.keys(mapping(backends));
    const noBackend = `names no backend; there ${names.length === 1 ? 'is' : 'are'}: ${names.join(', ') || 'none'}`;
    const clientsNeeded = mapping(listen)['clientAuth'] !== 'disabled';
    const ofPools = list(pools).flatMap((pool, index) => {
        if (!isMapping(pool))
            return [];
        const earlier = list(pools).slice(0, index);
        const findings = [];
        const find = (setting, message) => findings.push({ path: ['pools', index, setting], message });
        if (typeof pool['backend'] === 'string' && !names.includes(pool['backend'])) {
            find('backend', noBackend);
        }
        if (pool['name'] !== undefined && earlier.some((other) => mapping(other)['name'] === pool['name'])) {
            find('name', 'is the name of another pool too');
        }
        const twin = earlier.findIndex((other) => isMapping(other) && samePrefix(other['pathPrefix'], pool['pathPrefix']));
        if (twin !== -1)
            find('pathPrefix', `is the path prefix of pools[${twin}] too`);
        const { clients = [] } = pool;
        if (clientsNeeded && Array.isArray(clients) && clients.length === 0) {
            find('clients', 'must name at least one client: nobody could use the pool');
        }
        for (const [key, entry] of Object.entries(mapping(pool['keys']))) {
            const standby = mapping(mapping(entry)['standby'])['backend'];
            if (typeof standby !== 'string')
                continue;
            const path = ['pools', index, 'keys', key, 'standby', 'backend'];
            if (!names.includes(standby))
                findings.push({ path, message: noBackend });
            else if (standby === pool['backend'])
                findings.push({ path, message: "is the pool's own backend" });
        }
        return [...findings, ...impossibleNames(pool['keys'], ['pools', index, 'keys'])];
    });
    return [...impossibleNames(backends, ['backends']), ...ofPools];
}
/** Names that the schema library passes over in silence, because JavaScript gives them a meaning. */
const impossibleNames = (named, path) => ['constructor', 'prototype', '__proto__']
    .filter((name) => Object.hasOwn(mapping(named), name))
    .map((name) => ({ path: [...path, name], message: 'is a name that cannot be used here' }));
/** Without slashes around it, as the schema normalises it. */
export const trimSlashes = (prefix) => prefix.replace(/^\/|\/$/g, '');
function samePrefix(one, other) {
    const [a, b] = [one ?? '', other ?? ''];
    return typeof a === 'string' && typeof b === 'string' && trimSlashes(a) === trimSlashes(b);
}
