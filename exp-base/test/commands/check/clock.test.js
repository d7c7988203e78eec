import { mkdir, utimes } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { expectLine, inDays, makeSite } from "./site.js";
let site;
beforeAll(async () => {
    site = await makeSite(['clock', 'certificate.expiry']);
});
afterAll(() => site.workspace.remove());
it('fits the certificates and the files', async () => {
    expectLine(await site.check(), 'clock.plausible', 'ok', { found: /^\d{4}-.*Z is after the beginning/ });
});
it('is behind the certificates and the files', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: inDays(-2) });
    try {
        const checked = await site.check();
        expectLine(checked, 'clock.plausible', 'warning', { found: /certificate client root begins on/, command: /date -u/ });
        expectLine(checked, 'certificate.expiry', 'problem', { found: /not valid before/, subject: 'ekm.example.com', advice: /clock/ });
    }
    finally {
        vi.useRealTimers();
    }
}); // prettier-ignore
it('is behind a file', async () => {
    await utimes(site.workspace.path('passphrase'), new Date(), inDays(1));
    const checked = await site.check();
    await utimes(site.workspace.path('passphrase'), new Date(), new Date());
    expectLine(checked, 'clock.plausible', 'warning', { found: /passphrase was changed on/ });
});
// What systemd says of the kernel's clock; there need not be any where the tests run.
it.each([
    ['echo yes', 'ok', /is synchronised/],
    ['echo no', 'warning', /not synchronised/],
    ['exit 1', 'not checked', /no systemd to ask/],
])('timedatectl: %s', async (script, status, found) => {
    await mkdir(site.workspace.path('bin'), { recursive: true });
    await site.workspace.write('bin/timedatectl', `#!/bin/sh\n${script}\n`, 0o700);
    const path = process.env['PATH'] ?? '';
    process.env['PATH'] = `${site.workspace.path('bin')}:${path}`;
    try {
        expectLine(await site.check(), 'clock.synchronised', status, { found });
    }
    finally {
        process.env['PATH'] = path;
    }
    expect(process.env['PATH']).toBe(path);
});
