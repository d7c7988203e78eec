import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyEnvironment } from "../../config/environment.js";
import { configSchema } from "../../config/schema.js";
import { ConfigSource } from "../../config/source.js";
/**
 * The settings as they are written, before anything is checked: it tells which files are meant, also where the
 * configuration as a whole cannot be used.
 */
export class WrittenSettings {
    file;
    #directory;
    #data;
    constructor(file, directory, data) {
        this.file = file;
        this.#directory = directory;
        this.#data = data;
    }
    /** `undefined` for a file that is not YAML. */
    static read(file, environment) {
        const source = ConfigSource.read(file, readFileSync);
        if (!(source instanceof ConfigSource))
            return undefined;
        const { directory } = source;
        const { data } = applyEnvironment(source.data, configSchema({ directory, environment }), environment);
        return new WrittenSettings(file, directory, data);
    }
    /** What stands at `path`, if anything does. */
    at(...path) {
        let value = this.#data;
        for (const step of path) {
            if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
                return undefined;
            value = value[step];
        }
        return value;
    }
    text(...path) {
        const value = this.at(...path);
        return typeof value === 'string' && value !== '' ? value : undefined;
    }
    /** The absolute path of the file that the setting names. */
    path(...path) {
        const value = this.text(...path);
        return value === undefined ? undefined : resolve(this.#directory, value);
    }
    /** Names of a mapping's members, or positions of a list's. */
    within(...path) {
        const value = this.at(...path);
        if (Array.isArray(value))
            return [...value.keys()];
        return typeof value === 'object' && value !== null ? Object.keys(value) : [];
    }
    /** Every file that the configuration names, the configuration file first. */
    files() {
        const found = [{ setting: 'the configuration', path: resolve(this.file), holds: 'trust' }];
        const add = (holds, ...path) => {
            const file = this.path(...path);
            if (file !== undefined)
                found.push({ setting: path.join('.'), path: file, holds });
        };
        add('trust', 'listen', 'tls', 'certificate');
        for (const name of ['key', 'pkcs12'])
            add('secret', 'listen', 'tls', name);
        add('secret', 'listen', 'tls', 'passphrase', 'file');
        for (const backend of this.within('backends')) {
            const at = ['backends', backend];
            add('trust', ...at, 'module');
            for (const name of ['passphrase', 'pin'])
                add('secret', ...at, name, 'file');
            for (const name of ['ca', 'certificate'])
                add('trust', ...at, 'tls', name);
            add('secret', ...at, 'tls', 'key');
            add('secret', ...at, 'credentials', 'password', 'file');
            const pinSource = pinSourceOf(this.text(...at, 'token'));
            if (pinSource !== undefined) {
                found.push({ setting: `backends.${backend}.token`, path: pinSource, holds: 'secret' });
            }
        }
        for (const pool of this.within('pools')) {
            for (const client of this.within('pools', pool, 'clients')) {
                const at = ['pools', pool, 'clients', client];
                add('trust', ...at, 'azureCertificate');
                for (const index of this.within(...at, 'caCertificates'))
                    add('trust', ...at, 'caCertificates', index);
            }
        }
        return found;
    }
}
/** The PIN's file in a `pkcs11:` URI (RFC 7512 §2.4). */
function pinSourceOf(token) {
    const [, text] = /[?&]pin-source=([^&]+)/.exec(token ?? '') ?? [];
    try {
        const source = text === undefined ? undefined : decodeURIComponent(text);
        return source?.startsWith('file:') ? fileURLToPath(source) : source;
    }
    catch {
        return undefined;
    }
}
