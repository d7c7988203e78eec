const DAY_MS = 86_400_000

const toDay = (date: Date) => date.toISOString().slice(0, 10).replaceAll('-', '')
const midnight = (day: string) => Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`)

/**
 * CKA_START_DATE, YYYYMMDD in UTC. A date of PKCS#11 has no time of day. A moment within a day therefore becomes the
 * next day, so that the key never becomes active too early.
 */
export const firstDay = {
  fromDate: (notBefore: Date): string => toDay(new Date(Math.ceil(notBefore.getTime() / DAY_MS) * DAY_MS)),
  toDate: (day: string): Date => new Date(midnight(day)),
}

/**
 * CKA_END_DATE, the last day of use. It is the last day that is over when the key expires, so that the key never lives
 * too long.
 */
export const lastDay = {
  fromDate: (expires: Date): string => toDay(new Date((Math.floor(expires.getTime() / DAY_MS) - 1) * DAY_MS)),
  toDate: (day: string): Date => new Date(midnight(day) + DAY_MS),
}
