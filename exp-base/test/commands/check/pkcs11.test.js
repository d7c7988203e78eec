import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultModule } from "../../pkcs11/support/fault-module.js";
import { MODULE, PIN, softHsm } from "../../pkcs11/support/softhsm.js";
import { onToken } from "../../pkcs11/support/token-objects.js";
import { expectLine, fingerprint, makeSite } from "./site.js";
const hsm = softHsm();
let site;
let faults;
beforeAll(async () => {
    faults = faultModule(hsm);
    hsm.initToken('ekm');
    onToken('ekm', (objects) => {
        objects.aes('aes-1');
        objects.rsa('rsa-1');
        objects.aes('Payroll');
        objects.aes('twice');
        objects.aes('twice');
        objects.aes('open', { EXTRACTABLE: true, SENSITIVE: false });
        objects.aes('wrap-only', { DECRYPT: false, UNWRAP: false });
    });
    site = await makeSite(['backend', 'key']);
    await site.workspace.write('pin', PIN);
    await site.workspace.write('wrong-pin', '11111111');
});
afterAll(async () => {
    hsm.remove();
    await site.workspace.remove();
});
function check(keys, hsmSettings = {}, only = ['backend.open', 'key']) {
    const token = { kind: 'pkcs11', module: MODULE, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions: 1 };
    const backends = { hsm: { ...token, ...hsmSettings } };
    return site.check({ backends, pools: [{ ...site.pool, backend: 'hsm', keys }], limits: { deadlineMs: 20 } }, { only });
}
/** SoftHSM notes every login in files of the token itself. */
const objects = async () => Object.entries(await fingerprint(hsm.directory)).filter(([path]) => !/(?:token\.(?:object|lock)|generation)$/.test(path));
describe('a token that is well', () => {
    it('is told with all its facts, and is afterwards what it was', async () => {
        const before = await objects();
        const names = ['certificate', 'backend', 'key'];
        const checked = await check({ 'aes-1': {}, 'rsa-1': {} }, { sessions: 2 }, names);
        expect(checked.ids('problem').filter((id) => id !== 'backend.latency')).toEqual([]);
        const [version] = checked.all('backend.version', 'ok');
        expect(version?.found).toMatch(/SoftHSM.*token ekm; serial [0-9a-f]{16}; .*firmware 2\./);
        expect(version?.fields).toMatchObject({ token: 'ekm', sessions: 2 });
        expectLine(checked, 'backend.open', 'ok', { found: /logged in/, subject: 'hsm' });
        expectLine(checked, 'backend.sessions', 'ok', { found: /2 of 2 sessions are open; the token names no limit/ });
        expectLine(checked, 'key.found', 'ok', { found: /AES key of 256 bits/, subject: 'contoso/aes-1' });
        expectLine(checked, 'key.found', 'ok', { found: /RSA key of 2048 bits/, subject: 'contoso/rsa-1' });
        expectLine(checked, 'key.way', 'ok', {
            found: /^A256KWP: host-run key wrap over CKM_AES_ECB.*; rejected: .*0x210a.*wrong result for 1 bytes/,
        });
        expectLine(checked, 'key.way', 'ok', { found: /^RSA-OAEP-256: .*CKM_RSA_X_509.*CKR_ARGUMENTS_BAD/ });
        expect(checked.all('key.round-trip', 'ok').map(({ fields }) => fields?.['algorithm'])).toEqual([
            'A256KW',
            'A256KWP',
            'RSA-OAEP',
            'RSA-OAEP-256',
        ]);
        expect(checked.all('backend.latency')).toHaveLength(4);
        for (const { fields } of checked.all('backend.latency'))
            expect(fields?.['calls']).toBeGreaterThan(0);
        expect(await objects()).toEqual(before);
        expect(checked.text + checked.json).not.toContain(PIN);
    });
});
describe('a key', () => {
    let checked;
    beforeAll(async () => {
        checked = await check({ 'nowhere-1': {}, payroll: {}, 'aes-2': {}, twice: {}, open: {}, 'wrap-only': {} });
    });
    it('is missing', () => {
        expectLine(checked, 'key.found', 'problem', {
            found: /not there: the token has no key with the label "nowhere-1"/,
            subject: 'contoso/nowhere-1',
            command: /^ekm-gateway keys list --config .*gateway\.yaml --backend hsm$/,
        });
    });
    it('is there in another spelling', () => {
        const advice = /is Payroll meant\? write payroll: \{ ref: Payroll \}/;
        expectLine(checked, 'key.found', 'problem', { found: /payroll/, advice, subject: 'contoso/payroll' });
        const close = (subject, found) => expectLine(checked, 'key.near-miss', 'warning', { found, subject });
        close('contoso/payroll', /has Payroll, which differs in upper and lower case/);
        close('contoso/aes-2', /has aes-1, which differs by a character/);
    });
    it('has a name that another has too', () => {
        const found = /more than one key of the token has the label "twice": .* and /;
        expectLine(checked, 'key.unique', 'problem', { found, subject: 'contoso/twice' });
    });
    it('could leave the token', async () => {
        expectLine(checked, 'key.exposed', 'warning', { found: /CKA_EXTRACTABLE is true/, subject: 'contoso/open' });
        expect(checked.all('key.exposed')).toHaveLength(1);
        const strict = await check({ open: {} }, { requireSensitive: true });
        expectLine(strict, 'key.found', 'problem', { found: /OPERATION_FORBIDDEN.*can leave the token/ });
    });
    it('may not unwrap', () => {
        expect(checked.all('key.round-trip', 'problem').map(({ subject, found }) => [subject, found])).toEqual([
            ['contoso/wrap-only', expect.stringMatching(/^A256KW: it does not unwrap \(OPERATION_FORBIDDEN\)/)],
            ['contoso/wrap-only', expect.stringMatching(/^A256KWP: it does not unwrap/)],
        ]);
    });
});
describe('the token cannot be used', () => {
    it('its PIN is wrong: one try, and no more', async () => {
        faults.logins();
        const checked = await check({ 'aes-1': {} }, { module: faults.path, pin: { file: 'wrong-pin' } });
        expect(faults.logins()).toBe(1);
        expectLine(checked, 'backend.open', 'problem', {
            found: /CKR_PIN_INCORRECT/,
            subject: 'hsm',
            advice: /each is one try/,
            command: /^pkcs11-tool --module .* --list-token-slots$/,
        });
        expectLine(checked, 'key.found', 'not checked', { found: /see backend\.open/, advice: /^$/ });
        expect(checked.text + checked.json).not.toContain('11111111');
        expect((await check({ 'aes-1': {} })).ids('problem')).toEqual([]);
    });
    it('there is no module', async () => {
        const checked = await check({}, { module: '/nowhere/libhsm.so' });
        expectLine(checked, 'backend.open', 'problem', { found: /no readable PKCS#11 module at \/nowhere\/libhsm\.so/ });
    });
});
it('is slower than the deadline allows', async () => {
    faults.script('C_WrapKey delay 25');
    const checked = await check({ 'aes-1': {} }, { module: faults.path }, ['backend.latency']);
    faults.script();
    expectLine(checked, 'backend.latency', 'problem', {
        found: /^A256KW with contoso\/aes-1: wrap p50 \d+ ms, p99 \d+ ms; .*\d+ calls; the deadline is 20 ms, Azure waits 250 ms/,
        advice: /bring gateway and backend nearer/,
    });
});
