import { visible } from '../../base/visible.ts'
import { cut } from '../../telemetry/audit.ts'

/** What somebody else chose, so that each of its characters is seen. Markup is made harmless where it is put in. */
export const shown = (text: string): string => visible(cut(text)).replaceAll('\n', ' ')

/** `12 s`, `4 min`, `3 h`, `2 days`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`
}

/** Seconds as milliseconds, as exactly as buckets tell. */
export function milliseconds(seconds: number | undefined): string {
  if (seconds === undefined) return '–'
  if (seconds === Infinity) return 'over 1 s'
  const ms = seconds * 1000
  if (ms >= 1000) return `${Number(seconds.toPrecision(2))} s`
  return `${ms >= 100 ? Math.round(ms) : Number(ms.toPrecision(2))} ms`
}

/** Calls a second. */
export function rate(calls: number, ms: number): string {
  const perSecond = calls / (ms / 1000)
  if (perSecond === 0) return '0/s'
  return `${perSecond >= 10 ? Math.round(perSecond) : Number(perSecond.toPrecision(2))}/s`
}

/** `2026-11-29 03:14:07 UTC`, and on the day of `now` without the date. */
export function clock(ms: number, now?: number): string {
  const [day = '', time = ''] = new Date(ms).toISOString().slice(0, 19).split('T')
  const isToday = now !== undefined && new Date(now).toISOString().startsWith(day)
  return isToday ? `${time} UTC` : `${day} ${time} UTC`
}

/** `0 %`, `0.12 %`, `3 %` */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %'
  const share = (part / whole) * 100
  return share < 0.01 ? 'below 0.01 %' : `${share >= 10 ? Math.round(share) : Number(share.toPrecision(2))} %`
}
