import type { Reported } from './row.ts'

/** Whether an adapter's event is the one by which it reports something; never for what it does not report. */
export const isReport = (
  reported: Reported | undefined,
  event: string,
  fields: Readonly<Record<string, unknown>>,
): boolean => reported?.event === event && (reported.code === undefined || reported.code === fields['code'])
