import { checkIds, isWanted } from "./catalogue.js";
export const statuses = ['ok', 'warning', 'problem', 'not checked'];
/** What has been found so far. */
export class Findings {
    /** Also what is not reported, because other checks rest on it. */
    all = [];
    #only;
    #onFinding;
    /** @param only ids, or the groups before their dots, that are reported; all where it is empty */
    constructor(only = [], onFinding = () => undefined) {
        this.#only = only;
        this.#onFinding = onFinding;
    }
    get reported() {
        return this.all.filter(({ id }) => isWanted(id, this.#only));
    }
    /** Whether any of these checks, or of these groups of checks, is reported. */
    wants(...names) {
        return checkIds.some((id) => isWanted(id, names) && isWanted(id, this.#only));
    }
    ok(id, found, more = {}) {
        this.add({ id, status: 'ok', found, ...more });
    }
    warning(id, found, more = {}) {
        this.add({ id, status: 'warning', found, ...more });
    }
    problem(id, found, more = {}) {
        this.add({ id, status: 'problem', found, ...more });
    }
    /** `why` it was not, and how it can be. */
    notChecked(id, why, more = {}) {
        this.add({ id, status: 'not checked', found: why, ...more });
    }
    add(finding) {
        const { subject, advice, command } = finding;
        const clean = {
            ...finding,
            found: printable(finding.found),
            ...(subject !== undefined && { subject: printable(subject) }),
            ...(advice !== undefined && { advice: printable(advice) }),
            ...(command !== undefined && { command: printable(command) }),
        };
        this.all.push(clean);
        if (isWanted(clean.id, this.#only))
            this.#onFinding(clean);
    }
}
/** A certificate's subject and a server's name of itself come from elsewhere, and go to a terminal. */
const printable = (text) => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim();
