import { readFileSync } from 'node:fs';
import * as v from 'valibot';
const hex = v.pipe(v.string(), v.regex(/^([0-9a-f]{2})+$/), v.transform((text) => Buffer.from(text, 'hex')));
const mode = v.picklist(['wrap', 'wrap-pad']);
const rfcSchema = v.strictObject({
    source: v.string(),
    mode,
    cases: v.array(v.strictObject({ section: v.string(), key: hex, plaintext: hex, wrapped: hex })),
});
const nistCase = { bits: v.number(), count: v.number(), key: hex, wrapped: hex };
const nistSchema = v.strictObject({
    source: v.string(),
    mode,
    cipher: v.picklist(['aes-256', 'aes-256 inverse']),
    files: v.array(v.string()),
    /** The AE files: `plaintext` is wrapped. */
    wrap: v.array(v.strictObject({ ...nistCase, plaintext: hex })),
    /** The AD files: `wrapped` is unwrapped; `null` is the documents' FAIL. */
    unwrap: v.array(v.strictObject({ ...nistCase, plaintext: v.nullable(hex) })),
});
const read = (file) => JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'));
export const rfcVectors = ['rfc3394.json', 'rfc5649.json'].map((file) => v.parse(rfcSchema, read(file)));
export const nistVectors = [
    'sp800-38f-kw-256.json',
    'sp800-38f-kw-256-inverse.json',
    'sp800-38f-kwp-256.json',
    'sp800-38f-kwp-256-inverse.json',
].map((file) => v.parse(nistSchema, read(file)));
