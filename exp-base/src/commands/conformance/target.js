import { readFile } from 'node:fs/promises';
import { CouldNotRun } from "./case.js";
/** Reads what the options name. Rejects with {@link CouldNotRun}. */
export async function readTarget(options) {
    const refused = new Map();
    for (const text of options.refused) {
        const [, name, certificate, key] = /^([^=]+)=([^,]+),([^,]+)$/.exec(text) ?? [];
        if (name === undefined || certificate === undefined || key === undefined) {
            throw new CouldNotRun(`--refused ${text}: it must be NAME=CERT.PEM,KEY.PEM`);
        }
        refused.set(name, { certificate: await read('--refused', certificate), key: await read('--refused', key) });
    }
    return {
        ...parseUrl(options.url),
        ca: await read('--ca', options.ca),
        client: { certificate: await read('--cert', options.cert), key: await read('--key', options.key) },
        aesKeys: options.aesKey,
        rsaKeys: options.rsaKey,
        disabledKeys: options.disabledKey,
        refused,
    };
}
export function parseUrl(text) {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol !== 'https:' || url.search !== '' || url.hash !== '' || url.username !== '') {
        throw new CouldNotRun(`--url ${text}: it must be https://HOST[:PORT][/PREFIX]`);
    }
    return {
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port === '' ? 443 : Number(url.port),
        prefix: url.pathname.replace(/^\/+|\/+$/g, ''),
    };
}
async function read(option, path) {
    try {
        return await readFile(path, 'utf8');
    }
    catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
        throw new CouldNotRun(`${option} ${path} cannot be read (${code})`);
    }
}
