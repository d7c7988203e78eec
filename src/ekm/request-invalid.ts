/**
 * A request that is refused without asking a backend. `message` goes to the caller. It says what was wrong and what is
 * allowed, and never quotes a value.
 */
export class RequestInvalid extends Error {
  override readonly name = 'RequestInvalid'
}
