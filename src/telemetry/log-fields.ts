/** Only scalars. Nothing that could carry a request's body, a buffer or a key is assignable. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>
