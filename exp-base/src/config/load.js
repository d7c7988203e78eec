import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { OperatorError } from "../../adapters/contract/index.js";
import { applyEnvironment } from "./environment.js";
import { crossCheck } from "./cross-check.js";
import { backendsSchema, configSchema } from "./schema.js";
import { ConfigSource, formatPath } from "./source.js";
/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigInvalid extends OperatorError {
    problems;
    constructor(problems) {
        super('CONFIG_INVALID', problems.map(formatProblem).join('\n'));
        this.problems = problems;
    }
}
const formatProblem = ({ source, line, path, message }) => `${source}${line === undefined ? '' : `:${line}`}: ${path === '' ? '' : `${path} `}${message}`;
/** The whole configuration, frozen. Throws {@link ConfigInvalid} with every problem at once. */
export const loadConfig = (file, environment, read = readFileSync) => load({ file, environment, read }, configSchema, crossCheck);
/** Only the backends, for commands that manage keys before the rest of the configuration can be right. */
export const loadBackends = (file, environment) => load({ file, environment, read: readFileSync }, (references) => v.object({ backends: backendsSchema(references) }))
    .backends;
function load({ file, environment, read }, schemaFor, check = () => []) {
    const source = ConfigSource.read(file, read);
    if (!(source instanceof ConfigSource))
        throw new ConfigInvalid(source);
    const references = { directory: source.directory, environment, read };
    // Every override is applied to the whole file, also where only a part of it is used.
    const { data, overrides, problems } = applyEnvironment(source.data, configSchema(references), environment);
    // One word on each setting: a number can be neither whole nor in range.
    const parsed = v.safeParse(schemaFor(references), data, { abortPipeEarly: true });
    const findings = [...(parsed.issues ?? []).flatMap(findingsOf), ...check(data)];
    if (!parsed.success || findings.length > 0 || problems.length > 0) {
        const located = findings.map(({ path, message }) => {
            const dotted = formatPath(path);
            const override = overrides.find((candidate) => formatPath(candidate.path) === dotted);
            if (override)
                return { source: override.variable, path: dotted, message };
            return { source: file, line: source.lineOf(path), path: dotted, message };
        });
        throw new ConfigInvalid([...problems, ...located.sort((a, b) => (a.line ?? 0) - (b.line ?? 0))]);
    }
    return freeze(parsed.output);
}
function findingsOf(issue) {
    const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)));
    // Of the alternatives, the one that a mapping was meant for knows better what is wrong inside.
    const inside = (issue.issues ?? []).filter((alternative) => alternative.path !== undefined).flatMap(findingsOf);
    if (inside.length > 0)
        return inside.map((finding) => ({ ...finding, path: [...path, ...finding.path] }));
    return [{ path, message: issue.message }];
}
/** Plain objects and lists only: a buffer cannot be frozen, and the classes keep their own state private. */
function freeze(value) {
    const plain = Array.isArray(value) || (typeof value === 'object' && value !== null && isPlain(value));
    if (!plain)
        return value;
    for (const member of Object.values(value))
        freeze(member);
    return Object.freeze(value);
}
function isPlain(value) {
    const prototype = Object.getPrototypeOf(value);
    return prototype === Object.prototype || prototype === null;
}
