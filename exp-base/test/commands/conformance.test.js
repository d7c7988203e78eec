import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from "../../src/commands/conformance/catalogue.js";
import { ProgressLine } from "../../src/commands/conformance/progress.js";
import { styleFor } from "../../src/commands/style.js";
import { makeLaboratory } from "../conformance/laboratory.js";
import { badRequest, right } from "../conformance/wrong-proxies/behaviour.js";
import { SimpleProxy } from "../conformance/wrong-proxies/proxy.js";
import { findCanaries } from "../support/canaries.js";
import { makeClient } from "../support/pki.js";
import { makeWorkspace } from "../support/workspace.js";
import { run } from "./cli.js";
let laboratory;
let workspace;
let files;
beforeAll(async () => {
    laboratory = await makeLaboratory();
    workspace = await makeWorkspace();
    const { pki } = laboratory;
    files = {
        ca: await workspace.write('ca.pem', pki.serverCa.certificate),
        cert: await workspace.write('client.pem', pki.client.certificate),
        key: await workspace.write('client.key', pki.client.key),
    };
});
afterAll(() => workspace.remove());
/** Runs the command against a proxy of that behaviour. */
async function conformance(behaviour, args, changes = {}) {
    const proxy = new SimpleProxy({ ...right, ...behaviour }, laboratory.parts);
    const url = `https://localhost:${await proxy.listen()}/azureekm/contoso`;
    const options = { url, ...files, 'aes-key': 'aes-1', ...changes };
    try {
        return await run(['conformance', ...Object.entries(options).map(([name, value]) => `--${name}=${value}`), ...args]);
    }
    finally {
        proxy.close();
    }
}
const FEW = ['--only=info', '--only=alg', '--only=error', '--only=rsa-oaep', '--only=latency'];
const caseInsensitive = { algorithm: (name) => name.toUpperCase() };
const noAllow = { methodRefusal: (method) => (method === 'POST' ? undefined : badRequest()) };
const formats = ['text', 'tap', 'junit', 'json', 'html'];
const json = ({ stdout }) => JSON.parse(stdout);
describe('ekm-gateway conformance', { timeout: 60_000 }, () => {
    it('ends with 0 where every rule is kept, without colour or progress in a pipe', async () => {
        const { code, stdout, stderr } = await conformance({}, FEW);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        expect(stdout).not.toContain('\u001b');
        expect(stdout).toMatch(/✓ alg\.case +the name of an algorithm is case-sensitive\n/);
        expect(stdout).toMatch(/\nLatency in ms +p50 +p95 +p99 +max +beyond 250 ms +calls\n +first call /);
        expect(stdout).toMatch(/conformant: \d+ of \d+ rules kept; \d+ not run\n/);
    });
    it('names what is not run, and what it needs', async () => {
        const { stdout } = await conformance({}, [...FEW, '--format=json']);
        const rsa = catalogue.filter(({ id }) => id.startsWith('rsa-oaep.') || id === 'alg.mismatch-rsa');
        const notRun = json({ stdout }).cases.filter(({ outcome }) => outcome === 'not run');
        // What these cases send are all calls of the API.
        expect(notRun.map(({ id }) => id).sort()).toEqual([...rsa.map(({ id }) => id), 'error.elsewhere'].sort());
        expect(JSON.stringify(notRun)).toContain('needs --rsa-key NAME');
    });
    it('ends with 1 where a rule is broken, and tells what was sent, expected and came', async () => {
        const { code, stdout } = await conformance(caseInsensitive, FEW);
        expect(code).toBe(1);
        expect(stdout).toMatch(/✗ alg\.case .*\(must\)\n +sent +POST .*wrapkey.* alg a256kw, .*\n +expected +400\n +came +200 \{"value":"<54 characters>"\}/);
        expect(stdout).toMatch(/must, and does not: alg\.case\nNOT conformant: 1 of \d+ rules broken/);
    }); // prettier-ignore
    it('ends with 0 where only advice is not followed', async () => {
        const { code, stdout } = await conformance(noAllow, ['--only=http.method-status', '--format=tap']);
        expect(code).toBe(0);
        expect(stdout).toMatch(/^TAP version 14\n1\.\.1\nnot ok 1 - http\.method-status .* # TODO should\n/);
    });
    it.each(formats)('writes %s that holds every case', async (format) => {
        const { code, stdout } = await conformance(caseInsensitive, [...FEW, `--format=${format}`]);
        expect(code).toBe(1);
        const wanted = catalogue.filter(({ id }) => FEW.includes(`--only=${id.split('.')[0] ?? ''}`));
        switch (format) {
            case 'text':
                for (const { id } of wanted)
                    expect(stdout).toContain(` ${id} `);
                break;
            case 'tap':
                expect(stdout.match(/^(?:not )?ok \d+ - /gm)).toHaveLength(wanted.length);
                expect(stdout.match(/^not ok .*$/gm)).toEqual([expect.stringMatching(/- alg\.case /)]);
                break;
            case 'junit':
                expect(stdout.match(/<testcase /g)).toHaveLength(wanted.length);
                expect(stdout.match(/<failure /g)).toHaveLength(1);
                expectWellFormed(stdout);
                break;
            case 'json':
                expect(json({ stdout }).cases.map(({ id }) => id).sort()).toEqual(wanted.map(({ id }) => id).sort());
                expect(json({ stdout }).conformant).toBe(false);
                break;
            case 'html':
                for (const { id } of wanted)
                    expect(stdout).toContain(`<code>${id}</code>`);
                expect(stdout).toContain('<svg viewBox=');
                expect(stdout).not.toMatch(/<script|<link|<img|href=|src=|url\(/);
        }
    }); // prettier-ignore
    it('plays a Managed HSM and draws the distribution', async () => {
        const args = ['--only=load', '--load=100', '--duration=1', '--connections=3'];
        const { code, stdout } = await conformance({}, args);
        expect(code).toBe(0);
        expect(stdout).toMatch(/load, wrapkey +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ +0\.00 % +50\n/);
        expect(stdout).toMatch(/Distribution under load\n(?: +[\d.]+ to [\d.]+ ms [█▏▎▍▌▋▊▉ ]+ +[\d.]+ % +\d+\n)+/);
    });
    it('shows no data key and no wrapped value, in any format', async () => {
        const values = [];
        const note = (bytes) => {
            if (bytes.length >= 8)
                values.push(Buffer.from(bytes));
            return bytes;
        };
        const talkative = {
            wrap: (work, kek) => note(right.wrap({ ...work, bytes: note(work.bytes) }, kek)),
            cannotUnwrap: (_error, { bytes }) => badRequest(`bad: ${note(bytes).toString('base64url')}`),
            badLength: (value) => badRequest(`bad: ${value}`),
        };
        for (const format of formats) {
            const { code, stdout, stderr } = await conformance(talkative, ['--only=a256kw', '--only=encoding', '--only=error', `--format=${format}`]);
            expect(code).toBe(1);
            const canaries = Object.fromEntries(values.splice(0).map((value, index) => [`value ${index}`, value]));
            expect(Object.keys(canaries).length).toBeGreaterThan(100);
            expect(findCanaries(stdout + stderr, canaries)).toEqual([]);
        }
    }); // prettier-ignore
});
describe('what cannot be run ends with 2 and says why', { timeout: 30_000 }, () => {
    const rows = [
        ['nobody listens', { url: 'https://localhost:1/x' }, /no TLS connection to localhost:1 \(ECONNREFUSED.*is it running\?/],
        ['not https', { url: 'http://localhost/' }, /--url http:\/\/localhost\/: it must be https:/],
        ['a query', { url: 'https://localhost/?a=1' }, /it must be https:/],
        ['a file that is not there', { ca: '/nowhere.pem' }, /--ca \/nowhere\.pem cannot be read \(ENOENT\)/],
        ['a key that is not there', { 'aes-key': 'nobody' }, /the proxy has no key nobody \(404 KeyNotFound\)/],
        ['no such case', { only: 'nonsense' }, /no case is called nonsense/],
        ['a malformed --refused', { refused: 'x' }, /--refused x: it must be NAME=CERT\.PEM,KEY\.PEM/],
        ['markdown of a run', { format: 'markdown' }, /--format markdown is for --list/],
    ]; // prettier-ignore
    it.each(rows)('%s', async (_what, changes, says) => {
        const { code, stdout, stderr } = await conformance({}, [], changes);
        expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringMatching(says) });
    });
    it('another prefix', async () => {
        const ended = await conformance({ below: () => undefined }, []);
        expect(ended.stderr).toMatch(/info is not at localhost:\d+ \(404 NotFound\): is the prefix of --url right\?/);
        expect(ended.code).toBe(2);
    });
    it('a client that is not let in', async () => {
        const { certificate, key } = await makeClient(laboratory.pki.clientCa, { commonName: 'mallory' });
        const changes = { cert: await workspace.write('m.pem', certificate), key: await workspace.write('m.key', key) };
        const { code, stderr } = await conformance({}, [], changes);
        expect({ code, stderr }).toEqual({
            code: 2,
            stderr: expect.stringMatching(/does not let the client of --cert in \(401 Unauthorized\)/),
        });
    });
    it("another root than the proxy's", async () => {
        const { code, stderr } = await conformance({}, [], { ca: files.cert });
        expect(code).toBe(2);
        expect(stderr).toMatch(/does its certificate lead to --ca\?/);
    });
    it('no options at all', async () => {
        const { code, stderr } = await run(['conformance']);
        expect({ code, stderr }).toEqual({ code: 2, stderr: 'ekm-gateway conformance: --url is required\n' });
    });
});
describe('--list', () => {
    it('prints the catalogue as text', async () => {
        const { code, stdout } = await run(['conformance', '--list']);
        expect(code).toBe(0);
        for (const { id, severity, title } of catalogue)
            expect(stdout).toContain(`  ${id.padEnd(28)} ${severity.padEnd(6)} ${title}\n`);
        expect(stdout).toContain(`${catalogue.length} cases: `);
    }); // prettier-ignore
    it('prints it as JSON', async () => {
        const { stdout } = await run(['conformance', '--list', '--format', 'json']);
        const listed = JSON.parse(stdout);
        expect(listed.map(({ id, clause, severity, title }) => ({ id, clause, severity, title }))).toEqual(catalogue.map(({ id, clause, severity, title }) => ({ id, clause, severity, title })));
    });
    it('has no other format', async () => {
        expect((await run(['conformance', '--list', '--format', 'tap'])).code).toBe(2);
    });
});
describe('on a terminal', () => {
    it('there is colour, unless NO_COLOR is set', () => {
        expect(styleFor({ isTTY: true }, {}).bad('x')).toBe('\u001b[31mx\u001b[39m');
        expect(styleFor({ isTTY: true }, { NO_COLOR: '' }).bad('x')).toBe('\u001b[31mx\u001b[39m');
        expect(styleFor({ isTTY: true }, { NO_COLOR: '1' }).bad('x')).toBe('x');
        expect(styleFor({}, {}).bad('x')).toBe('x');
    });
    it('progress is one line that is cut to the width, and gone at the end', () => {
        const written = [];
        const stream = { isTTY: true, columns: 11, write: (text) => written.push(text) };
        const line = new ProgressLine(stream);
        line.show('0123456789abcdef');
        line.clear();
        line.clear();
        expect(written).toEqual(['\r\u001b[K0123456789', '\r\u001b[K']);
    });
});
/** Every element is closed in its order, and no text has a bare ampersand: enough for a generator that is ours. */
function expectWellFormed(xml) {
    const open = [];
    for (const [, close, name, empty] of xml.matchAll(/<(\/?)([a-z]+)(?:\s+[a-z]+="[^"<]*")*\s*(\/?)>/g)) {
        if (close === '/')
            expect(open.pop()).toBe(name);
        else if (empty === '')
            open.push(name ?? '');
    }
    expect(open).toEqual([]);
    expect(xml).not.toMatch(/&(?!(?:amp|lt|gt|quot|#39);)/);
    expect(xml.replace(/<\?xml[^>]*>|<!--.*?-->|<\/?[a-z]+(?:\s+[a-z]+="[^"<]*")*\s*\/?>/g, '')).not.toContain('<');
}
