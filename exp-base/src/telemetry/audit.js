/** The longest text of a caller's that is logged, in UTF-16 code units; what is longer is cut. */
export const MAX_LOGGED_TEXT = 256;
export const cut = (text) => text.length <= MAX_LOGGED_TEXT ? text : text.slice(0, MAX_LOGGED_TEXT - 1) + '…';
export const milliseconds = (elapsed) => Math.round(elapsed * 1000) / 1000;
export function writeAudit({ log, metrics }, record) {
    log.always('request', record);
    metrics.request(record, record.total_ms / 1000);
}
export function writeHandshakeFailure(log, failure) {
    log.always('tls_handshake_failed', { ...failure });
}
