import { readFile } from 'node:fs/promises';
import { systemCode } from "../../../adapters/contract/index.js";
import { parseAzureOutput } from "../../config/clients.js";
import { distinct, SHOW } from "./clients.js";
import { CouldNotRun } from "./could-not-run.js";
import { isSelfIssued, nameOf } from "./x509.js";
/** @param pools names that may stand before the `=`; a file's name can have one too */
export async function readFresh(given, pools) {
    const pool = pools.find((name) => given.startsWith(`${name}=`));
    const file = pool === undefined ? given : given.slice(pool.length + 1);
    const bytes = await readFile(file).catch((error) => {
        throw new CouldNotRun(`--azure-certificate ${given}: the file cannot be read (${systemCode(error)})`);
    });
    const parsed = parseAzureOutput(bytes);
    if (parsed === undefined) {
        throw new CouldNotRun(`--azure-certificate ${given}: the file is not what this prints: ${SHOW}`);
    }
    return { given, commonNames: parsed.commonNames, cas: parsed.given, ...(pool !== undefined && { pool }) };
}
/** The allow-lists against what Azure shows: the most common reason why a proxy that worked refuses Managed HSM. */
export function checkDrift({ pools }, fresh, findings) {
    const compared = new Set();
    for (const list of fresh) {
        const pool = poolOf(list, pools);
        compared.add(pool.name);
        compare(pool, list, findings);
    }
    for (const { name } of pools) {
        if (compared.has(name))
            continue;
        findings.notChecked('clients.drift', 'there is nothing to compare the allow-list with', {
            subject: name,
            advice: `give what Azure shows as --azure-certificate ${name}=azure.json`,
            command: SHOW,
        });
    }
}
function poolOf({ given, pool: named, commonNames }, pools) {
    const byName = pools.filter(({ name }) => name === named);
    const byClient = pools.filter(({ clients }) => clients.some((entry) => entry.commonNames.some((name) => commonNames.includes(name))));
    const [candidates] = [byName, byClient, pools].filter((found) => found.length === 1);
    const [pool] = candidates ?? [];
    if (pool !== undefined)
        return pool;
    const names = pools.map(({ name }) => name).join(', ');
    throw new CouldNotRun(`--azure-certificate ${given}: say for which pool, as POOL=FILE; there are: ${names}`);
}
function compare({ name: subject, clients }, fresh, findings) {
    const listed = new Set(clients.flatMap(({ commonNames }) => commonNames));
    const known = distinct(clients.flatMap(({ roots, intermediates }) => [...roots, ...intermediates]));
    const has = (certificates, wanted) => certificates.some(({ fingerprint256 }) => fingerprint256 === wanted.fingerprint256);
    const take = {
        subject,
        advice: `take ${fresh.given.replace(`${subject}=`, '')} as the azureCertificate of pool ${subject}`,
    };
    const before = findings.all.length;
    const newNames = fresh.commonNames.filter((name) => !listed.has(name));
    for (const name of newNames) {
        findings.problem('clients.drift', `Azure's client is now ${name}, which the pool does not list: it lists ${[...listed].join(', ')}`, take);
    }
    for (const ca of fresh.cas.filter((wanted) => !has(known, wanted))) {
        if (isSelfIssued(ca)) {
            findings.problem('clients.drift', `Azure has the new root ${nameOf(ca)}, which the pool does not trust`, take);
        }
        else {
            findings.warning('clients.drift', `Azure has the new issuing CA ${nameOf(ca)}, which the pool does not list`, take);
        }
    }
    for (const ca of known.filter((old) => !has(fresh.cas, old))) {
        findings.warning('clients.drift', `Azure no longer has ${nameOf(ca)}, which the pool trusts`, {
            subject,
            advice: 'take it out once no client uses it any more',
        });
    }
    // A name and a root must stand in one entry to be of use together.
    const together = clients.some((entry) => fresh.commonNames.every((name) => entry.commonNames.includes(name)) &&
        fresh.cas.filter(isSelfIssued).every((root) => has(entry.roots, root)));
    if (findings.all.length > before)
        return;
    if (together)
        findings.ok('clients.drift', 'the allow-list is what Azure shows', { subject });
    else
        findings.warning('clients.drift', 'name and roots are those of Azure, but not together in one entry', take);
}
