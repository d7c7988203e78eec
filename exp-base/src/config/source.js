import { dirname, resolve } from 'node:path';
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import { systemCode } from "../../adapters/contract/index.js";
export const formatPath = (path) => path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('');
/** A configuration file's text, parsed, with a way back from each setting to its line. */
export class ConfigSource {
    file;
    /** Paths in the file are relative to this directory. */
    directory;
    /** The settings as plain data. */
    data;
    #document;
    #lines;
    constructor(file, document, lines) {
        this.file = file;
        this.directory = dirname(resolve(file));
        this.data = document.toJS();
        this.#document = document;
        this.#lines = lines;
    }
    /** Reads `file`; what keeps it from being read at all is returned as problems. */
    static read(file, read) {
        let text;
        try {
            text = read(file).toString('utf8');
        }
        catch (error) {
            return [{ source: file, path: '', message: `cannot be read (${systemCode(error)})` }];
        }
        const lines = new LineCounter();
        // No pretty errors: they quote the file, and a secret may stand in it by mistake.
        const document = parseDocument(text, {
            lineCounter: lines,
            prettyErrors: false,
            logLevel: 'error',
            uniqueKeys: true,
        });
        if (document.errors.length > 0) {
            return document.errors.map((error) => ({
                source: file,
                line: lines.linePos(error.pos[0]).line,
                path: '',
                message: `is not valid YAML: ${error.code.toLowerCase().replaceAll('_', ' ')}`,
            }));
        }
        try {
            return new ConfigSource(file, document, lines);
        }
        catch {
            return [{ source: file, path: '', message: 'is not valid YAML: an alias has no anchor, or there are too many' }];
        }
    }
    /** The line of the setting, or of the nearest one around it that is there. */
    lineOf(path) {
        for (let length = path.length; length > 0; length -= 1) {
            const offset = this.#offsetOf(path.slice(0, length));
            if (offset !== undefined)
                return this.#lines.linePos(offset).line;
        }
        return 1;
    }
    #offsetOf(path) {
        const parent = this.#document.getIn(path.slice(0, -1), true);
        const key = path.at(-1);
        if (isMap(parent)) {
            const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(key));
            return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
        }
        const node = this.#document.getIn(path, true);
        return isNode(node) ? node.range?.[0] : undefined;
    }
}
