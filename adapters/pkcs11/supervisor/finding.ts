/**
 * What caused a failure that does not show its cause.
 *
 * | finding | evidence |
 * |---|---|
 * | `call` | a known value was unwrapped afterwards, with the same key in the same way |
 * | `key` | that failed, but another key or way could be used |
 * | `token` | no key could be used |
 * | `unclear` | there was no known value to try |
 * | `nothing` | the host was lost meanwhile |
 */
export type Finding = 'call' | 'key' | 'token' | 'unclear' | 'nothing'
