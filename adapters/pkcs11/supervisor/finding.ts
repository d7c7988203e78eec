/**
 * Whose a failure was that says nothing itself.
 *
 * | finding | evidence |
 * |---|---|
 * | `call` | afterwards, a known value was unwrapped with the key, in the way that was used |
 * | `key` | it was not, but another key or way could be used |
 * | `token` | no key could be used |
 * | `unclear` | there was no known value to try with |
 * | `nothing` | the host was lost meanwhile |
 */
export type Finding = 'call' | 'key' | 'token' | 'unclear' | 'nothing'
