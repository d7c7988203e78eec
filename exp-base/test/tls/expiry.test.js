import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from "../../src/config/load.js";
import { certificatesOf, ExpiryWatch } from "../../src/tls/expiry.js";
import { writeGatewayFiles } from "../support/gateway.js";
import { issue, makePki } from "../support/pki.js";
const DAY_MS = 24 * 3_600_000;
const END = new Date('2031-03-01T00:00:00Z').getTime();
let pki;
let workspace;
let config;
let file;
beforeAll(async () => {
    pki = await makePki();
    const hosts = ['localhost'];
    const server = await issue({ commonName: 'localhost', usage: 'server', hosts, notAfter: new Date(END) }, pki.serverCa);
    pki = { ...pki, server: { ...server, certificate: server.certificate + pki.serverCa.certificate } };
    ({ workspace, file } = await writeGatewayFiles(pki, []));
    config = loadConfig(file, {});
});
afterAll(() => workspace.remove());
/** A watch with a clock of its own, and what it told the log of the server's certificate. */
function watch() {
    let now = 0;
    const told = [];
    const note = (level) => (event, fields = {}) => {
        if (fields['role'] === 'server')
            told.push([level, event, fields]);
    };
    const log = { error: note('error'), warn: note('warn'), info: note('info'), debug: note('debug'), always: note('always'), dropped: 0, close: () => Promise.resolve() };
    const start = (days) => {
        now = END - days * DAY_MS;
        return new ExpiryWatch(log, config, () => now);
    };
    return { start, told, at: (days) => (now = END - days * DAY_MS) };
} // prettier-ignore
it('an end is told 30, 14, 7 and 1 days before, each once, and when it has come', () => {
    const { start, told, at } = watch();
    const expiry = start(40);
    const seen = [];
    for (const days of [40, 30.5, 29.9, 29, 15, 14, 13, 7, 6.5, 1.5, 0.9, 0.1, -0.1, -3]) {
        at(days);
        const before = told.length;
        expiry.check();
        expiry.follow(config);
        for (const [level, event, { days_left }] of told.slice(before))
            seen.push([days, level, event, days_left]);
    }
    expect(seen).toEqual([
        [29.9, 'warn', 'certificate_expires', 29],
        [14, 'warn', 'certificate_expires', 14],
        [7, 'warn', 'certificate_expires', 7],
        [0.9, 'warn', 'certificate_expires', 0],
        [-0.1, 'error', 'certificate_expired', -1],
    ]);
    expect(told[0]?.[2]).toMatchObject({ subject: 'CN=localhost', expires: '2031-03-01T00:00:00.000Z' });
    expiry.close();
});
it('a certificate that is near its end at the start is told at once, and only the nearest threshold', () => {
    const { start, told } = watch();
    start(5).close();
    expect(told).toMatchObject([['warn', 'certificate_expires', { days_left: 5 }]]);
});
it('knows what every certificate is for, and how many days are left', () => {
    expect(certificatesOf(config).map(({ role, subject }) => [role, subject])).toEqual([
        ['server', 'CN=localhost'],
        ['server_chain', 'CN=test server CA'],
        ['client_ca', 'CN=test client CA'],
    ]);
    const { start } = watch();
    const expiry = start(12.5);
    expect(expiry.daysLeft()[0]).toEqual({ role: 'server', subject: 'CN=localhost', days: 12.5 });
    expiry.close();
});
