const DAY_MS = 86_400_000;
/** Bits of an unsigned big-endian integer. */
export function bitLength(integer) {
    const leading = integer.findIndex((byte) => byte !== 0);
    return leading === -1 ? 0 : 8 * (integer.length - leading) - (Math.clz32(integer[leading] ?? 0) - 24);
}
const toDay = (date) => date.toISOString().slice(0, 10).replaceAll('-', '');
const midnight = (day) => Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
/**
 * CKA_START_DATE, YYYYMMDD in UTC. A date of PKCS#11 has no time of day, so a moment within a day becomes the day after:
 * the key never becomes active too early.
 */
export const firstDay = {
    fromDate: (notBefore) => toDay(new Date(Math.ceil(notBefore.getTime() / DAY_MS) * DAY_MS)),
    toDate: (day) => new Date(midnight(day)),
};
/** CKA_END_DATE, the last day of use: the last that is over when the key expires, so that it never lives too long. */
export const lastDay = {
    fromDate: (expires) => toDay(new Date((Math.floor(expires.getTime() / DAY_MS) - 1) * DAY_MS)),
    toDate: (day) => new Date(midnight(day) + DAY_MS),
};
