/** Who may use a pool: pairs of a subject common name and a root CA, because several pools share one listener's trust. */
export class AllowList {
    #rootsByName = new Map();
    constructor(entries) {
        for (const { commonNames, roots } of entries) {
            for (const name of commonNames) {
                const allowed = this.#rootsByName.get(name) ?? new Set();
                for (const root of roots)
                    allowed.add(root.fingerprint256);
                this.#rootsByName.set(name, allowed);
            }
        }
    }
    allows({ commonName, roots }) {
        const allowed = commonName === undefined ? undefined : this.#rootsByName.get(commonName);
        if (allowed === undefined)
            return false;
        for (const root of roots)
            if (allowed.has(root))
                return true;
        return false;
    }
}
