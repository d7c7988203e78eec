import { quoted } from "./words.js";
/** How to look at it without the gateway. */
export function commandFor(name, settings, written) {
    if (settings.kind === 'pkcs11')
        return { command: `pkcs11-tool --module ${quoted(settings.module)} --list-token-slots` };
    if (settings.kind !== 'kmip')
        return {};
    const [server] = settings.servers;
    const file = (setting) => quoted(written.path('backends', name, 'tls', setting) ?? `${setting}.pem`);
    const where = server === undefined ? 'HOST:5696' : `${server.host}:${server.port ?? 5696}`;
    const files = `-CAfile ${file('ca')} -cert ${file('certificate')} -key ${file('key')}`;
    return { command: `openssl s_client -connect ${where} ${files} </dev/null` };
} // prettier-ignore
