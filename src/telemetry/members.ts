import { visible } from '../base/visible.ts'

/** Only scalars. Nothing that could carry a request's body, a buffer or a key is assignable. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** An object's JSON without its braces. */
export const membersOf = (fields: LogFields): string => visible(JSON.stringify(fields)).slice(1, -1)
